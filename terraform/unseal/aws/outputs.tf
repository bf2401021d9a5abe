output "seal" {
  description = "What the cluster's file says under `seal:`."
  value       = local.seal
}

output "key_policy" {
  description = "Who may do what with the key."
  value       = local.key_policy
}
