"""What the page calls and colours an outcome: a letter, a word and one of a few families of colour.

A colour never stands alone: each cell has its letter, each segment its word. The families are few so that
all of them can be told apart by colour-blind readers (``tests/results_test/page_test/colours_test.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["solved", "repaired", "wrong", "stopped", "nothing", "forged", "infra"]
INFRA = "infra"


@dataclass(frozen=True)
class Mark:
    """How an outcome is shown."""

    key: str
    letter: str
    word: str
    family: Family


MARKS = (
    Mark("solved", "S", "solved", "solved"),
    Mark("repaired", "R", "solved after repair", "repaired"),
    Mark("wrong", "W", "wrong", "wrong"),
    Mark("limit", "L", "limit reached", "stopped"),
    Mark("timeout", "T", "timeout", "stopped"),
    Mark("crashed", "C", "crashed", "stopped"),
    Mark("syntax_error", "X", "syntax error", "nothing"),
    Mark("no_code", "N", "no code", "nothing"),
    Mark("gave_up", "G", "gave up", "nothing"),
    Mark("forged", "F", "forged", "forged"),
    Mark(INFRA, "!", "infra error", "infra"),
)
BY_KEY = {mark.key: mark for mark in MARKS}


def mark_of_trial(row: dict[str, Any]) -> Mark:
    """Return how a trial's outcome is shown; what a repair solved is told apart."""
    if row["kind"] != "model":
        return BY_KEY[INFRA]
    if row["outcome"] == "solved" and row["solved_at"] != 1:
        return BY_KEY["repaired"]
    return BY_KEY.get(row["outcome"], BY_KEY["wrong"])
