"""The tasks of `invoke cluster.…`, which are too many for one file; each reads flags and calls one function."""
