variable "cluster" {
  description = "The cluster that the key unseals; the key is called CLUSTER-unseal."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,119}$", var.cluster))
    error_message = "cluster: write lower-case letters, digits and hyphens, as in the name of the cluster's file."
  }
}

variable "vault_name" {
  description = "The key vault to make; its name is taken by one vault in the world."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z](-?[A-Za-z0-9]){2,23}$", var.vault_name)) && length(var.vault_name) <= 24
    error_message = "vault_name: write 3 to 24 letters, digits and single hyphens, a letter first."
  }
}

variable "resource_group_name" {
  description = "The resource group that the key vault belongs to."
  type        = string
}

variable "location" {
  description = "Where the key vault lies, such as westeurope."
  type        = string
}

variable "tenant_id" {
  description = "The directory that the nodes' identity is of."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.tenant_id))
    error_message = "tenant_id: write a UUID in lower case."
  }
}

variable "principal_id" {
  description = "The object id of the identity that the nodes run as: it may get, wrap and unwrap, and nothing else."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.principal_id))
    error_message = "principal_id: write a UUID in lower case; it is the object id, not the client id."
  }
}

variable "tags" {
  description = "Tags of the vault and the key."
  type        = map(string)
  default     = {}
}
