"""A pytest-driven evaluation harness for coding agents made of two models.

A Letta agent orchestrates; Claude, behind two tools, writes the code and the tests. Importing this
package has no side effect and imports nothing heavy.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Provide ``harness.load``, which imports pandas with its first use."""
    if name == "load":
        from harness.results.dataframe import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
