"""Compose the page of a run. Jinja, imported here only, escapes every text that is not marked ``safe``."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

from harness.results import render
from harness.results.columns import BY, TOKENS, mark_of, marked
from harness.results.page.chart import rate_against_cost
from harness.results.page.conversation import figures, parts_for_page, python, unseen_files
from harness.results.pricing import dollars
from harness.results.run_folder import Conversation
from harness.results.tables import Row, Tables
from harness.tasks.task import Difficulty
from harness.terminal import visible

if TYPE_CHECKING:
    from jinja2 import Environment

ONE_FILE_BYTES = 8_000_000


def page(
    title: str, tables: Tables, trials: Sequence[Row], load: Callable[[Row], Conversation]
) -> tuple[str, dict[str, str]]:
    """Return the page of a run, and by their paths beside it the conversations of a large run.

    Each trial's row has its ``cost``; ``load`` returns its conversation.
    """
    bodies = {row["trial"]: _body(load(row)) for row in trials}
    split = sum(map(len, bodies.values())) > ONE_FILE_BYTES
    apart = {f"trials/{name}.html": _alone(name, body) for name, body in bodies.items()} if split else {}
    place = "trials/{}.html" if split else "#trial/{}"
    rows = [{**row, "href": place.format(quote(row["trial"]))} for row in trials]
    filters = {name: sorted({row[name] for row in rows}) for name in ("pair", "outcome", "difficulty")}
    filters["tag"] = sorted({tag for row in rows for tag in row["tags"].split()})
    script = _text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = _render(
        "page.html.j2",
        title=title,
        style=_text("style.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        tables=tables,
        answer=list(_answer(tables, rows)),
        columns={
            "differences": [*render.DIFFERENCES, *render.SAVINGS[2:]],
            "spending": render.SPENDING,
            "testers": render.TESTERS,
            **{by: render.results(by) for by in BY},
        },
        texts=render.TEXTS,
        spending=render.spending_rows(tables.pairs),
        figure=rate_against_cost(tables.pairs),
        heat=_heat(rows),
        groups=[(by, tables.by[by]) for by in BY if by not in ("pair", "task")],
        filters=filters,
        trials=[_trial_row(row) for row in rows],
        split=split,
        sections={} if split else bodies,
    )
    return html, apart


def _answer(tables: Tables, rows: Iterable[Row]) -> Iterator[str]:
    """Yield sentences on what a reader wants to know first."""
    if short := "; ".join(render.headline(tables.ranking)):
        yield short[:1].upper() + short[1:] + "."
    measured = [row for row in tables.pairs if row["trials"]]
    for row in measured:
        if (name := marked(row["pair"], row["mark"])) in tables.ranking.best:
            low, high = row["solved_low_pct"], row["solved_high_pct"]
            yield (
                f"{name} solved {row['solved']} of {row['trials']} trials of {row['tasks']} tasks: "
                f"{row['solved_pct']:.1f} % (95 % interval {low:.1f} to {high:.1f})."
            )
    free = [row for row in measured if row["cost_per_trial"] == 0]
    if free and len(free) == len(measured):
        yield "No trial cost anything."
    for row in measured if len(free) < len(measured) else ():
        unknown = f" (no price is known for {row['unpriced']})" if row["unpriced"] else ""
        yield f"{marked(row['pair'], row['mark'])} costs {dollars(row['cost_per_trial'])} a trial{unknown}."
    outcomes = Counter(row["outcome"].replace("_", " ") for row in rows)
    yield "Outcomes: " + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) + "."


def _heat(rows: Iterable[Row]) -> dict[str, Any]:
    """Return cells of task by pair; each leads to the first trial that was not solved, or else the first."""
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    backends: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        cells[row["task"], row["pair"]].append(row)
        backends[row["pair"]].add(row["backend"])
    difficulty = {row["task"]: row["difficulty"] for row in rows}
    pairs = sorted({pair for _, pair in cells})
    order = [*get_args(Difficulty), None]
    return {
        "pairs": [marked(pair, mark_of(backends[pair])) for pair in pairs],
        "rows": [
            {
                "task": task,
                "difficulty": difficulty[task],
                "cells": [_cell(cells[task, pair]) if (task, pair) in cells else None for pair in pairs],
            }
            for task in sorted(difficulty, key=lambda task: (order.index(difficulty[task]), task))
        ],
    }


def _cell(trials: list[Row]) -> dict[str, Any]:
    measured = [row for row in trials if row["kind"] == "model"]
    solved = sum(row["outcome"] == "solved" for row in measured)
    chosen = next((row for row in trials if row["outcome"] != "solved"), trials[0])
    text = f"{solved} of {len(measured)}" if measured else "error"
    rate = round(solved / len(measured), 3) if measured else None
    return {"text": text, "rate": rate, "href": chosen["href"]}


def _trial_row(row: Row) -> Row:
    """Return a row with its tokens and its cost as texts; what is unknown is ``-``."""
    known = [row[name] for name in TOKENS if row[name] is not None]
    cost = dollars(row["cost"]) if row["kind"] == "model" else "-"
    return {**row, "tokens": f"{sum(known):,}" if known else "-", "cost": cost}


def _body(conversation: Conversation) -> str:
    events = conversation.transcript.events
    return _render(
        "trial.html.j2",
        row=figures(conversation.row),
        parts=parts_for_page(events),
        stop=conversation.transcript.stop,
        files=unseen_files(conversation.files, events),
    )


def _alone(name: str, body: str) -> str:
    """Return a conversation as a file of its own."""
    back = f"{'../' * (name.count('/') + 1)}report.html#trials"
    return _render("alone.html.j2", title=name, style=_text("style.css"), body=body, back=back)


def _text(name: str) -> str:
    return package_files("harness.results.page").joinpath(name).read_text(encoding="utf-8")


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_text), trim_blocks=True
    )
    environment.filters |= {"visible": visible, "python": python}
    return environment
