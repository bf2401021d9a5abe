"""What of a kind may leak that is no object of it: one module a kind, named by its catalogue entry."""
