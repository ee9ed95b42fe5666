"""Names of columns that records, tables, the page and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.agents.transcript import ROLES
from harness.local.stack.catalogue import CATALOGUE

SETTINGS = (
    *("orchestrator", "coder", "tester", "flow", "tools", "backend"),
    *("coder_settings", "tester_settings"),
)
# Of trials of a course, and of agents with memory; no other row has them.
MEMORY = ("course", "step", "control", "memory", "memory_calls", "recalled")
BY = ("pair", "orchestrator", "coder", "tester", "task", "tag", "difficulty")
KINDS = ("input", "cache_write", "cache_read", "output")  # of tokens; they never overlap
TOKENS = tuple(f"{role}_{kind}" for role in ROLES for kind in KINDS)
GRADES = ("bugs_caught", "bugs_accepted", "bugs_total", "mutants_caught", "mutants_total")
COSTS = tuple(f"{role}_cost" for role in ROLES)
MARKS = {
    "mock": "mock",
    "local": "stand-in",
}  # backend -> what it is, where it is no model that people compare
STAND_INS = frozenset(model.name for model in CATALOGUE)


def backend_of(backend: object, coder: object) -> str:
    """Return the backend, or ``local`` where it leads to a local model, as the Claude CLI may."""
    return "local" if backend != "mock" and coder in STAND_INS else str(backend)


def mark_of(backends: Iterable[object]) -> str:
    """Return what stands in for the models of these trials; empty unless it is the same in all of them.

    The backends are those of ``backend_of``.
    """
    kinds = {str(each) for each in backends}
    return MARKS.get(kinds.pop(), "") if len(kinds) == 1 else ""


def marked(name: object, mark: str | None) -> str:
    """Return a name for display, with what stands in for its models."""
    return f"{name} ({mark})" if mark else str(name)


def first_lines(lines: Sequence[str], most: int = 10) -> list[str]:
    """Return so many lines, and how many more there are."""
    more = len(lines) - most
    return [*lines[:most], *([f"and {more} more"] if more > 0 else [])]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 trial``, ``2 trials``."""
    return f"{number} {noun}{'s' * (number != 1)}"
