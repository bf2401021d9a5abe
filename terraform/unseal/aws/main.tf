resource "aws_kms_key" "unseal" {
  description             = "Unseals the cluster ${var.cluster}; without it nothing that the cluster keeps can be read"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_policy
  tags                    = var.tags

  lifecycle {
    prevent_destroy = true

    postcondition {
      condition     = split(":", self.arn)[3] == var.region
      error_message = "The provider made the key in another region than var.region names."
    }
  }
}

resource "aws_kms_alias" "unseal" {
  name          = local.alias
  target_key_id = aws_kms_key.unseal.key_id

  lifecycle {
    prevent_destroy = true
  }
}

# The key's policy alone would do; with this one the role says itself what it may.
resource "aws_iam_role_policy" "unseal" {
  name = "${var.cluster}-unseal"
  role = local.role_name
  policy = jsonencode(merge(local.role_policy, {
    Statement = [for one in local.role_policy.Statement : merge(one, { Resource = aws_kms_key.unseal.arn })]
  }))
}
