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
from harness.results.render import MANY, short_count
from harness.results.tables import Row, Tables

MOCKS = (
    "No model wrote the code of what is marked mock: a mock follows a convention if its specification names "
    "it. That proves the instrument, and says nothing of models."
)


def answer(tables: Tables, rows: Sequence[Row]) -> Answer:
    """Return the first screen of a run that has nothing but courses."""
    compared = in_order(tables)
    verdict = "One kind of memory ran, so there is none to compare."
    if compared:
        verdict = f"Memory on courses: {sentence(compared[0])}."
    measured = [row for row in rows if row["kind"] == "model"]
    runs = {(row["pair"], row["course"], row["epoch"]): row["control"] for row in measured}
    basis = f"{counted(len(measured), 'step')} of {counted(len(runs), 'course run')}, all kinds of memory"
    controls = sum(map(bool, runs.values()))
    basis += f" together, {controls} of them controls." if controls else " together."
    caveat = MOCKS if all(row["mark"] == MOCK for row in tables.courses) else ""
    return Answer(verdict, caveat, (("What it rests on", basis),), None)


def section(tables: Tables, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the values of the section on memory; None for a run without courses.

    ``rows`` are those of steps of courses.
    """
    if not tables.courses:
        return None
    by_course: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["control"], row["course"], row["step"])):
        by_course[row["course"]].append(row)
    pairs: dict[str, Row] = {}
    for row in tables.courses:  # controls stand last
        pairs.setdefault(row["pair"], row)
    compared = in_order(tables)
    shown = [each for each in compared if overview.is_established(each)]
    others = [each for each in compared if not overview.is_established(each)]
    are_many = len(others) > MANY
    return {
        "verdicts": list(map(sentence, shown if are_many else [*shown, *others])),
        "others": list(map(sentence, others)) if are_many else [],
        "of_others": _of_others(others, is_rest=bool(shown)),
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
        "caveat": MOCKS if any(row["mark"] == MOCK for row in tables.courses) else "",
        "longest": _longest(rows),
    }


def in_order(tables: Tables) -> list[Comparison]:
    """Return the comparisons of two kinds of memory: of models, what is established, memory that is kept."""
    known = [each for each in tables.memory if each.interval_pct is not None]
    known.sort(
        key=lambda each: (
            _is_control(each),
            MOCK in each.marks,
            not overview.is_established(each),
            not each.second.startswith("carried"),
            each.first.startswith("none"),
        )
    )
    return known


def _of_others(others: Sequence[Comparison], *, is_rest: bool) -> str:
    """Return a line in the place of many comparisons that show nothing."""
    which = f"{len(others)} other comparisons" if is_rest else f"any of {len(others)} comparisons"
    of_models = sum(MOCK not in each.marks for each in others)
    apart = f", {of_models} of them without mocks" if 0 < of_models < len(others) else ""
    return f"No difference shown in {which}{apart}"


def sentence(each: Comparison) -> str:
    """Return what a comparison of two kinds of memory shows."""
    assert each.interval_pct is not None
    low, high = map(overview.signed, (each.interval_pct.low, each.interval_pct.high))
    figures = f"{overview.signed(each.difference_pct or 0)} points, 95 % interval {low} to {high}"
    sure = f"{overview.plain_p(each.p_holm)} after Holm, {counted(each.tasks, 'paired course run')}"
    first, second = map(marked, (each.first, each.second), each.marks)
    if overview.is_established(each):
        better = "better" if (each.difference_pct or 0) > 0 else "worse"
        return f"{second} is {better} than {first}: {figures} ({sure})"
    least = f"; even alone, it takes {each.smallest_pct:.0f} points to show one"
    least = "; so few can show none, however large" if each.is_too_small else least
    return f"no difference shown between {second} and {first}: {figures} ({sure}){least}"


def _longest(rows: Sequence[Row]) -> str:
    """Return which steps are of one course alone, if courses differ in length; empty if they do not."""
    length: dict[str, int] = defaultdict(int)
    for row in rows:
        if not row["control"]:
            length[row["course"]] = max(length[row["course"]], int(row["step"]))
    *others, longest = sorted(length, key=length.__getitem__) or [""]
    if not others or length[others[-1]] == length[longest]:
        return ""
    first, last = length[others[-1]] + 1, length[longest]
    those = f"step {last} is" if first == last else f"steps {first} to {last} are"
    return f"{those} of {longest} alone"


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
