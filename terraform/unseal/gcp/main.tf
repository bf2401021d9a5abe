resource "google_kms_key_ring" "unseal" {
  project  = var.project
  location = var.region
  name     = local.name

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key" "unseal" {
  key_ring                   = google_kms_key_ring.unseal.id
  name                       = local.name
  purpose                    = "ENCRYPT_DECRYPT"
  rotation_period            = "7776000s" # 90 days
  destroy_scheduled_duration = "2592000s" # 30 days

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_project_iam_custom_role" "unseal" {
  project     = var.project
  role_id     = replace("${var.cluster}_unseal", "-", "_")
  title       = "Unseal ${var.cluster}"
  description = "Encrypt, decrypt and get: what a server needs of the key that unseals it"
  permissions = local.uses
}

resource "google_kms_crypto_key_iam_member" "unseal" {
  crypto_key_id = google_kms_crypto_key.unseal.id
  role          = google_project_iam_custom_role.unseal.id
  member        = "serviceAccount:${var.service_account}"
}
