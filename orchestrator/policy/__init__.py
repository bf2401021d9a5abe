"""Vault policies as files: what they say, and whether they say it right."""
