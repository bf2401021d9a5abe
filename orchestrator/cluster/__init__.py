"""Clusters of one or more nodes: rendered, brought up, looked after, lost and brought back."""
