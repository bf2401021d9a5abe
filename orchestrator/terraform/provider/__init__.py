"""The Terraform provider that speaks to Vault and OpenBao in Python."""
