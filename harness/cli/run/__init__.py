"""``harness run``: one task from the command line, without a YAML file. Code and tests end in a folder.

The conversation is that of a trial (``runner.run_trial``), recorded into a folder that is thrown away. There
are no hidden tests: what counts is whether the generated tests pass.

Not covered: ``backend: mock``, which writes what stands in a task file.
"""
