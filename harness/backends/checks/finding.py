"""One line of the doctor's report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """The result of one check, in words. Never holds the value of a key.

    Attributes:
        check: The service, variable or thing that was checked.
        level: ``warning``: fine for now, but know it; ``error``: trials that need this will fail.
    """

    check: str
    level: Level
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.seen}" + (f" -> {self.remedy}" if self.remedy else "")


def worst(findings: Iterable[Finding]) -> Level:
    """Return the gravest level; ``ok`` if there is no finding."""
    return max((each.level for each in findings), key=LEVELS.index, default="ok")


def counts(findings: Iterable[Finding]) -> str:
    """Say how many findings there are of each level."""
    levels = [each.level for each in findings]
    return ", ".join(f"{levels.count(level)} {level}" for level in LEVELS)
