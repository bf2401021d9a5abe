locals {
  alias     = "alias/${var.cluster}-unseal"
  partition = split(":", var.role_arn)[1]
  account   = split(":", var.role_arn)[4]
  role_name = reverse(split("/", var.role_arn))[0]

  administrators = coalescelist(var.administrator_arns, ["arn:${local.partition}:iam::${local.account}:root"])

  # All that an unsealing server asks of a key.
  uses = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"]

  # Whoever manages the key cannot read with it, nor grant that by the back door of CreateGrant.
  manages = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:ListRetirableGrants",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
  ]

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Manage"
        Effect    = "Allow"
        Principal = { AWS = local.administrators }
        Action    = local.manages
        Resource  = "*"
      },
      {
        Sid       = "Unseal"
        Effect    = "Allow"
        Principal = { AWS = [var.role_arn] }
        Action    = local.uses
        Resource  = "*"
      },
    ]
  })

  role_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Unseal"
        Effect = "Allow"
        Action = local.uses
      },
    ]
  }

  seal = {
    awskms = {
      region     = var.region
      kms_key_id = local.alias
    }
  }
}
