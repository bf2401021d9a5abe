paths "a" {
  capabilities = ["read"]
}

path "b" {
  capabilites = ["read"]
}

path "c" {
  capabilities = ["raed", "write", 5]
}

path "d" {
  capabilities = ["deny", "read"]
  capabilities = []
}

path "d" {
  policy = "readwrite"
}

path "e/+*" {
  capabilities = "read"
}

path "" {
  policy = "read"
}

path "f" "g" {
  capabilities = ["read"]
}
