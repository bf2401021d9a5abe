"""Nodes that are containers: docker-compose.yml, the images that it names, and whoever carries it out."""
