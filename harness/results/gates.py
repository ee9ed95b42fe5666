"""Check what a run must reach to pass in CI, besides being free of infra errors.

Pure functions; one message for each missed gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.results.columns import counted
from harness.results.compare import Comparison
from harness.results.dataframe import read
from harness.results.run_folder import find_run
from harness.results.tables import Row

MOST_TASKS = 12


def too_few_solved(pairs: Sequence[Row], percent: float) -> Iterator[str]:
    """Yield a message for each pair whose pass rate is below a percentage, or that has none."""
    for row in pairs:
        if row["solved_pct"] is None:
            yield f"{row['pair']}: nothing was measured, so it did not reach {percent:g} %"
        elif 100 * row["solved"] < percent * row["trials"]:
            share = f"{row['solved']} of {row['trials']}"
            yield f"{row['pair']}: {row['solved_pct']:.1f} % solved ({share}), below {percent:g} %"


def worse(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield a message for each comparison whose second side is shown to be worse, with the lost tasks."""
    for each in comparisons:
        if each.verdict == "worse":
            lost = [flip.task for flip in each.flips if flip.second < flip.first]
            more = f" and {len(lost) - MOST_TASKS} more" if len(lost) > MOST_TASKS else ""
            yield f"{in_one_line(each)}; lost: {', '.join(lost[:MOST_TASKS])}{more}"


def in_one_line(each: Comparison) -> str:
    """Return a comparison in one line."""
    if each.interval_pct is None:
        return f"{each.second} against {each.first}: no task in common{_left_out(each)}"
    low, high = each.interval_pct.low, each.interval_pct.high
    change = f"{each.difference_pct:+.1f} points [{low:+.1f}, {high:+.1f}], p = {each.p_holm:.2g}"
    line = f"{each.second} against {each.first}: {change}: "
    if each.verdict != "not shown":
        return f"{line}{each.verdict}{_left_out(each)}"
    tasks = counted(each.tasks, "task")
    power = f"{tasks} would have shown one of {each.smallest_pct:.1f} points (alone, 4 times in 5)"
    if each.is_too_small:
        power = f"{tasks} can show none, however large"
    return f"{line}no difference shown{_left_out(each)}; {power}"


def left_out(each: Comparison) -> list[str]:
    """Return sentences on the tasks that took no part."""
    parts = []
    if each.left_out:
        parts.append(f"{counted(len(each.left_out), 'task')} on one side only")
    if each.changed:
        names = ", ".join(each.changed[:MOST_TASKS])
        parts.append(f"{counted(len(each.changed), 'changed task')} left out: {names}")
    return parts


def _left_out(each: Comparison) -> str:
    parts = left_out(each)
    return f" ({'; '.join(parts)})" if parts else ""


@dataclass(frozen=True)
class Gates:
    """What the command line asks of a run.

    Attributes:
        fail_under: Least percentage of solved trials of each pair.
        baseline: Name of an earlier run; empty for none.
        records: Where its records are.
    """

    fail_under: float | None = None
    baseline: str = ""
    records: Path | None = None

    @classmethod
    def of(cls, fail_under: float | None, baseline: str, reports: Path) -> Gates:
        """Return the gates, after refusing what could not be decided after the last trial.

        Raises:
            UsageError: The percentage is none, or there is no such run.
        """
        if fail_under is not None and not 0 <= fail_under <= 100:
            raise UsageError(f"--fail-under: expected 0 to 100, got {fail_under:g}")
        if not baseline:
            return cls(fail_under)
        # Resolved now: `latest` will be this very run.
        path = find_run(baseline, reports).resolve()
        read(path)
        return cls(fail_under, baseline, path)
