"""Snapshots of a cluster: taken, kept, pruned, restored, and restored for practice."""
