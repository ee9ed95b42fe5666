"""`harness run`: one task from the command line."""
