"""The embedded stack: one OpenBao and one PostgreSQL from Python packages, kept under `.strongroom/`."""
