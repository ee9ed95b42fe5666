"""Compile hidden tests once for all their runs: rewriting their assertions is a quarter of what a run costs.

Only for hidden tests, which the task's author wrote: what a model wrote is compiled in the sandbox alone. The
code is that which the sandbox's own pytest would make, for it is the same pytest and the same Python.
"""

from __future__ import annotations

import ast
import base64
import marshal
import warnings
from functools import lru_cache


@lru_cache(maxsize=256)
def compiled(source: str, path: str) -> str:
    """Return a test file's code in base64; empty where it does not compile: its run says why."""
    from _pytest.assertion import rewrite

    text = source.encode("utf-8", "surrogatepass")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, filename=path)
            rewrite.rewrite_asserts(tree, text, path)
            code = compile(tree, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return base64.b64encode(marshal.dumps(code)).decode()
