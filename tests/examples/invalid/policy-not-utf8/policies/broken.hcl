path "café" { capabilities = ["read"] }
