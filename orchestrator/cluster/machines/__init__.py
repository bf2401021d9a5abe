"""Who starts and stops nodes: processes of this machine, containers, or commands that the cluster's file names."""
