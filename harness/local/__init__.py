"""The embedded live stack: PostgreSQL, a Letta server and a local model server, with no key and no Docker.

    stack          up, status, down: composes the rest, the only module the command line needs
    home, state    where things lie on disk, and what is remembered about running processes
    processes      start detached, recognise again, stop
    postgres       the embedded database
    letta_install  Letta's own environment, from its published source
    letta_server   migrations, the stored provider address, the server
    model_server   OpenAI- and Anthropic-compatible HTTP endpoints over `scripted` and `smollm`

Needs the extra ``live``; importing any module of this package works without it, and is cheap.
"""
