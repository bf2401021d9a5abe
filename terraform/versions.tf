# What every environment starts from; `invoke plan` and `invoke apply` copy it beside what they render.

terraform {
  required_version = ">= 1.11"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.0"
    }
  }
}

# The address, the token and the namespace come from VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE.
# No child token: it would need one right more than the work itself does.
provider "vault" {
  skip_child_token = true
}
