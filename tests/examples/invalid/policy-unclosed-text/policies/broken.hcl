path "a {
  capabilities = ["read"]
}
