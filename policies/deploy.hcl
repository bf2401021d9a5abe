# A CI job signs releases and gets a certificate for what it deploys.
path "transit/sign/releases" {
  capabilities = ["update"]
}

path "pki/issue/web" {
  capabilities = ["update"]
}
