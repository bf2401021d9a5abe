"""Runbooks: read, walked with a person, and drilled on a throw-away server."""
