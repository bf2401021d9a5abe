"""Emergency revocation: cut exactly the leak, prove it, keep the evidence."""
