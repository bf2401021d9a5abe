{"path": {"a": {"capabilities": ["read"]}}}
