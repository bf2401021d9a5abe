locals {
  key_name = "${var.cluster}-unseal"

  # The server wraps its own key with this one, so that it never encrypts by it.
  uses = [
    "Microsoft.KeyVault/vaults/keys/read",
    "Microsoft.KeyVault/vaults/keys/unwrap/action",
    "Microsoft.KeyVault/vaults/keys/wrap/action",
  ]

  seal = {
    azurekeyvault = {
      tenant_id  = var.tenant_id
      vault_name = var.vault_name
      key_name   = local.key_name
    }
  }
}
