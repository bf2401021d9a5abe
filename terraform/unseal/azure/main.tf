data "azurerm_resource_group" "here" {
  name = var.resource_group_name
}

resource "azurerm_key_vault" "unseal" {
  name                       = var.vault_name
  resource_group_name        = var.resource_group_name
  location                   = var.location
  tenant_id                  = var.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 30
  tags                       = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_key_vault_key" "unseal" {
  name         = local.key_name
  key_vault_id = azurerm_key_vault.unseal.id
  key_type     = "RSA"
  key_size     = 3072
  key_opts     = ["unwrapKey", "wrapKey"]
  tags         = var.tags

  # No end of life: a server names the version that it wrapped with, and needs it as long as its data lives.
  rotation_policy {
    automatic {
      time_after_creation = "P365D"
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

# A role may be made for a resource group, not for a vault alone; it is given for the key alone.
resource "azurerm_role_definition" "unseal" {
  name              = "${var.cluster}-unseal"
  description       = "Get, wrap and unwrap: what a server needs of the key that unseals it"
  scope             = data.azurerm_resource_group.here.id
  assignable_scopes = [data.azurerm_resource_group.here.id]

  permissions {
    data_actions = local.uses
  }
}

resource "azurerm_role_assignment" "unseal" {
  scope              = azurerm_key_vault_key.unseal.resource_versionless_id
  role_definition_id = azurerm_role_definition.unseal.role_definition_resource_id
  principal_id       = var.principal_id
}
