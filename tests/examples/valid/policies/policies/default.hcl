name = "default" // a comment
"path" "auth/token/lookup-self" { capabilities = ["read",] }
path "cubbyhole/*" { "policy" = "write" } path "/sys/x" { policy = "deny" }
