variable "cluster" {
  description = "The cluster that the key unseals; ring and key are called CLUSTER-unseal."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,55}$", var.cluster))
    error_message = "cluster: write lower-case letters, digits and hyphens, as in the name of the cluster's file."
  }
}

variable "project" {
  description = "The project that the key belongs to."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project: write the project's id, not its number or its title."
  }
}

variable "region" {
  description = "Where the key lies: a region, a multi-region such as europe, or global."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+(-[a-z]+[0-9]+)?$", var.region))
    error_message = "region: write it like europe-west3."
  }
}

variable "service_account" {
  description = "The service account that the nodes run as: it may encrypt, decrypt and get, and nothing else."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9.-]+\\.gserviceaccount\\.com$", var.service_account))
    error_message = "service_account: write its address, such as openbao@project.iam.gserviceaccount.com."
  }
}
