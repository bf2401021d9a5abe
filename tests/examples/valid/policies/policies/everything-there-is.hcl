/* more
   than a line */
path "apps/data/+/{{identity.entity.name}}/*" {
  comment              = <<-EOF
    the owner's
      values
    EOF
  capabilities         = ["create", "read", "update", "patch", "delete", "list", "sudo", "scan"]
  required_parameters  = ["ttl"]
  allowed_parameters   = { "*" = [], "ttl" = ["1h", 5, true] }
  denied_parameters {
    "policy\n" = []
  }
  min_wrapping_ttl     = 1.5
  max_wrapping_ttl     = "90s"
  pagination_limit     = 100
  expiration           = "2030-01-01T00:00:00Z"
  mfa_methods          = [ # people
    "totp",
  ]
  control_group = {
    factor "ops" {
      identity { group_names = ["managers"] approvals = 1 }
    }
  }
}
