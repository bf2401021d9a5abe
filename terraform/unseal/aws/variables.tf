variable "cluster" {
  description = "The cluster that the key unseals; the key's alias is alias/CLUSTER-unseal."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,200}$", var.cluster))
    error_message = "cluster: write lower-case letters, digits and hyphens, as in the name of the cluster's file."
  }
}

variable "region" {
  description = "Where the key lies: the region of the provider."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: write it like eu-central-1."
  }
}

variable "role_arn" {
  description = "The role that the nodes run as: it may encrypt, decrypt and describe, and nothing else."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.role_arn))
    error_message = "role_arn: write the whole ARN, such as arn:aws:iam::123456789012:role/openbao."
  }
}

variable "administrator_arns" {
  description = "Who may manage the key, but not use it; the role's account where left out, which leaves it to IAM."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.administrator_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:", arn))])
    error_message = "administrator_arns: write whole ARNs; * would be everybody."
  }
}

variable "tags" {
  description = "Tags of the key."
  type        = map(string)
  default     = {}
}
