"""What the servers' audit logs say: entries, the hashes that stand for names in them, and an incident's questions."""
