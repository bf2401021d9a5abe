"""What is dead is tried again: one module a kind, named by its catalogue entry."""
