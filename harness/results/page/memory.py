"""Arrange what a run says of memory on courses: sentences, learning curves, and each step by pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from harness.results.columns import counted, marked
from harness.results.compare import Comparison
from harness.results.page import overview
from harness.results.page.answer import Answer
from harness.results.page.overview import MOCK
from harness.results.render import short_count
from harness.results.tables import Row, Tables


def answer(tables: Tables, rows: Sequence[Row]) -> Answer:
    """Return the first screen of a run that has nothing but courses."""
    told = sentences(tables)
    verdict = (
        f"Memory on courses: {told[0]}." if told else "One kind of memory ran, so there is none to compare."
    )
    measured = [row for row in rows if row["kind"] == "model"]
    runs = len({(row["pair"], row["course"], row["epoch"]) for row in measured})
    basis = f"{counted(len(measured), 'step')} of {counted(runs, 'course run')}. "
    basis += "A course run is one sample: its steps share an agent."
    return Answer(verdict, "", (("What it rests on", basis),), None)


def section(tables: Tables, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the values of the section on memory; None for a run without courses.

    ``rows`` are those of steps of courses.
    """
    if not tables.courses:
        return None
    by_course: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["control"], row["course"], row["step"])):
        by_course[row["course"]].append(row)
    pairs = {row["pair"]: row for row in reversed(tables.courses)}
    return {
        "verdicts": sentences(tables),
        "places": max(len(row["curve"]) for row in tables.courses),
        "groups": [
            [_curve(row) for row in tables.courses if row["control"] == control] for control in (False, True)
        ],
        "grids": [
            (
                course,
                overview.grid(
                    steps, [row for name, row in pairs.items() if _is_in(name, steps)], in_order=True
                ),
            )
            for course, steps in by_course.items()
        ],
        "legend": overview.legend(rows),
        "only_mocks": all(row["mark"] == MOCK for row in tables.courses),
    }


def sentences(tables: Tables) -> list[str]:
    """Return what each comparison of two kinds of memory shows, that of memory that is kept first."""
    known = [each for each in tables.memory if each.interval_pct is not None]
    known.sort(
        key=lambda each: (
            _is_control(each),
            not each.second.startswith("carried"),
            each.first.startswith("none"),
        )
    )
    return [_sentence(each) for each in known]


def _sentence(each: Comparison) -> str:
    assert each.interval_pct is not None
    low, high = each.interval_pct.low, each.interval_pct.high
    figures = f"{each.difference_pct:+.0f} points, 95 % interval {low:+.0f} to {high:+.0f}"
    figures = figures.replace("-", "\N{MINUS SIGN}")
    shown = "established" if overview.is_established(each) else "could be chance"
    sure = f"{overview.plain_p(each.p_holm)}, {counted(each.tasks, 'course run')}"
    return f"{each.second} against {each.first}: {figures} ({sure}), {shown}"


def _is_control(each: Comparison) -> bool:
    return each.first.endswith("(control)")


def _is_in(pair: str, steps: Sequence[Row]) -> bool:
    return any(row["pair"] == pair for row in steps)


def _curve(row: Row) -> Row:
    tokens = row["tokens_per_step"]
    return {
        **row,
        "name": marked(row["pair"], row["mark"]),
        "tokens_text": "\N{EN DASH}" if tokens is None else short_count(tokens),
    }
