"""Start, stop and inspect the embedded PostgreSQL, Letta and model server."""
