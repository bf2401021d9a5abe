/* path "a" {
