output "seal" {
  description = "What the cluster's file says under `seal:`."
  value       = local.seal
}

output "uses" {
  description = "What the nodes may do with the key."
  value       = local.uses
}
