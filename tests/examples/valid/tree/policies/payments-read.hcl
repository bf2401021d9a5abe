path "apps/data/payments/*" {
  capabilities = ["read"]
}
