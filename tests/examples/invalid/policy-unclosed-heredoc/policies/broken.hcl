path "a" {
  comment = <<EOF
  x
}
