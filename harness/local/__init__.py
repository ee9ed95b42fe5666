"""The live stack on this machine, with no key and no Docker; needs the extra ``live``, its import does not.

`stack` runs PostgreSQL, Letta and a model server as processes; `models` is that model server.
"""
