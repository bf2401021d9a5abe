path "a" = {
  capabilities = ["read"]
}
