"""The running server: sessions, reads, writes, proof. Only `wire.py` speaks hvac."""
