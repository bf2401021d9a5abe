path "a" {
  capabilities = ["read"]
}}
