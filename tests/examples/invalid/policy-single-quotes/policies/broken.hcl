path 'a' {
}
