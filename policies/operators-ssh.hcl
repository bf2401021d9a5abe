# An operator has a key signed for a working day, and looks after leases.
path "ssh/sign/operators" {
  capabilities = ["update"]
}

path "sys/leases/lookup/*" {
  capabilities = ["list", "sudo"]
}
