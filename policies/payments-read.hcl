# The payment service reads its own values, and nobody else's.
path "apps/data/payments/*" {
  capabilities = ["read"]
}

path "apps/metadata/payments/*" {
  capabilities = ["read", "list"]
}
