"""What guides for production ask of a cluster, each with evidence from the live nodes and the fix."""
