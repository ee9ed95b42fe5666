"""`harness run`: one task from the command line, without a YAML file. Code and tests end in a folder.

The conversation is that of a trial (`run.run_trial`), recorded into a folder that is thrown away. There are
no hidden tests: what is told is whether the generated tests pass. `given` reads what the folder holds,
`delivery` writes into it, `saving` makes a task file of what came out.

Not covered: `backend: mock`, which writes what stands in a task file.
"""
