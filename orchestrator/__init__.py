"""Strongroom: declare Vault and OpenBao in YAML; plan, apply and prove it."""
