"""The commands, each from its flags to its report: read, decide, do."""
