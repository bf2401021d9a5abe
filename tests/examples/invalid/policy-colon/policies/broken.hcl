path "a" {
  capabilities: ["read"]
}
