# The order service takes a database account, and encrypts with its own key.
path "database/creds/orders-read" {
  capabilities = ["read"]
}

path "transit/encrypt/orders" {
  capabilities = ["update"]
}

path "transit/decrypt/orders" {
  capabilities = ["update"]
}
