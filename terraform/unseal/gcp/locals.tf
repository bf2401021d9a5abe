locals {
  name = "${var.cluster}-unseal"

  # All that an unsealing server asks of a key.
  uses = [
    "cloudkms.cryptoKeyVersions.useToDecrypt",
    "cloudkms.cryptoKeyVersions.useToEncrypt",
    "cloudkms.cryptoKeys.get",
  ]

  seal = {
    gcpckms = {
      project    = var.project
      region     = var.region
      key_ring   = local.name
      crypto_key = local.name
    }
  }
}
