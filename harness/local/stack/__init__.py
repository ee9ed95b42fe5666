"""The embedded live stack: `stack` has up and down, `status` looks and changes nothing.

`components` starts and stops `postgres` (or `external_postgres`), `model_server` and `letta_server`.
"""
