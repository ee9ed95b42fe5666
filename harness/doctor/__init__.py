"""`harness doctor`: is all there that a live run needs, and if not, what to do.

`machine` looks at this computer, `variables` at the environment: both without a network. `services` makes the
cheapest real calls. `recording` is the part of it that runs by itself before pytest records.

Not covered: whether an account will last for the whole run, and the login that the Claude CLI keeps for
itself, which nobody but the CLI reads.
"""
