# Whoever plans, applies and revokes, in every namespace; `invoke rights` prints less for who needs less.
path "*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]
}
