"""One line of the doctor's report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """What one check showed. Never holds the value of a key.

    Attributes:
        check: What was looked at.
        level: ``ok``; ``warning``: fine for now, but know it; ``error``: what needs this will fail.
        seen: What was seen.
        remedy: What to do; empty where nothing is to be done.
    """

    check: str
    level: Level
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.seen}" + (f" -> {self.remedy}" if self.remedy else "")


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level; ``ok`` of nothing."""
    return max((each.level for each in findings), key=LEVELS.index, default="ok")


def counts(findings: Iterable[Finding]) -> str:
    """How many there are of each level, in words."""
    levels = [each.level for each in findings]
    return ", ".join(f"{levels.count(level)} {level}" for level in LEVELS)
