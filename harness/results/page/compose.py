"""A run's tables and conversations into one page. Jinja, imported here only, escapes every text."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.results import render
from harness.results.aggregate import BY, TOKENS
from harness.results.page import conversation
from harness.results.page.figure import rate_against_cost
from harness.results.render import Columns, dollars
from harness.results.run_folder import Conversation
from harness.results.tables import Row, Tables
from harness.terminal import visible

if TYPE_CHECKING:
    from jinja2 import Environment

ONE_FILE_BYTES = 8_000_000
TRIAL_TITLES = (
    *(("trial", False), ("outcome", False), ("attempts", True), ("tool errors", True), ("tokens", True)),
    *(("cost", True), ("seconds", True), ("why", False)),
)


@dataclass(frozen=True)
class Page:
    """``report.html``, and by their paths below it the files with the conversations of a large run."""

    html: str
    trials: Mapping[str, str]


def page(title: str, tables: Tables, trials: Sequence[Row], talk: Callable[[Row], Conversation]) -> Page:
    """The page of a run.

    Args:
        title: Its heading.
        tables: The run's tables.
        trials: Rows of its trials, each with its ``cost``.
        talk: Gives the conversation of a row.
    """
    bodies = {row["trial"]: _body(talk(row)) for row in trials}
    split = sum(map(len, bodies.values())) > ONE_FILE_BYTES
    apart = {f"trials/{name}.html": _alone(name, body) for name, body in bodies.items()} if split else {}
    rows = [{**row, "href": _href(row["trial"], split=split)} for row in trials]
    script = _text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = _template("page.html.j2").render(
        title=title,
        style=_safe(_text("style.css")),
        script=_safe(script),
        script_hash=f"sha256-{digest}",
        tables=tables,
        answer=list(_answer(tables, rows)),
        columns={
            "pairs": _columns(render.results("pair")),
            "differences": _columns([*render.DIFFERENCES, *render.SAVINGS[2:]]),
            "spending": _columns(render.SPENDING),
            "testers": _columns(render.TESTERS),
            **{by: _columns(render.results(by)) for by in BY},
        },
        spending=render.spending_rows(tables.pairs),
        figure=rate_against_cost(tables.pairs),
        heat=_heat(rows),
        groups=[(by, tables.by[by]) for by in BY if by not in ("pair", "task")],
        filters=_filters(rows),
        trials=[_trial_row(row) for row in rows],
        trial_titles=TRIAL_TITLES,
        split=split,
        sections=[] if split else [(f"trial/{name}", name, _safe(body)) for name, body in bodies.items()],
        safe=_safe,
    )
    return Page(html, apart)


def _columns(columns: Columns) -> list[dict[str, Any]]:
    return [
        {"title": title.replace("\n", " "), "show": show, "text": title in render.TEXTS}
        for title, show in columns
    ]


def _href(trial: str, *, split: bool) -> str:
    return f"trials/{quote(trial)}.html" if split else f"#trial/{quote(trial)}"


def _answer(tables: Tables, rows: Iterable[Row]) -> Iterator[str]:
    """What a reader wants to know first, as sentences."""
    if short := render.in_short(tables):
        yield short[:1].upper() + short[1:] + "."
    for row in tables.pairs:
        if row["trials"] and row["pair"] in tables.best[:1]:
            low, high = row["solved_low_pct"], row["solved_high_pct"]
            yield (
                f"{row['pair']} solved {row['solved']} of {row['trials']} trials of {row['tasks']} tasks: "
                f"{row['solved_pct']:.1f} % (95 % interval {low:.1f} to {high:.1f})."
            )
    for row in tables.pairs:
        if row["trials"]:
            price = dollars(row["cost_per_trial"])
            unknown = f" (no price is known for {row['unpriced']})" if row["unpriced"] else ""
            yield f"{row['pair']} costs {price} a trial{unknown}."
    why: dict[str, int] = defaultdict(int)
    for row in rows:
        why[row["outcome"].replace("_", " ")] += 1
    yield "Outcomes: " + ", ".join(f"{count} {name}" for name, count in sorted(why.items())) + "."


def _heat(rows: Iterable[Row]) -> dict[str, Any]:
    """Task by pair; each cell leads to the first trial that was not solved, or else the first."""
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    difficulty: dict[str, str] = {}
    for row in rows:
        cells[row["task"], row["pair"]].append(row)
        difficulty[row["task"]] = row["difficulty"]
    pairs = sorted({pair for _, pair in cells})
    order = {name: place for place, name in enumerate(("trivial", "easy", "medium", "hard"))}
    tasks = sorted(difficulty, key=lambda task: (order.get(difficulty[task], 9), task))
    return {
        "pairs": pairs,
        "rows": [
            {
                "task": task,
                "difficulty": difficulty[task],
                "cells": [_cell(cells[task, pair]) if (task, pair) in cells else None for pair in pairs],
            }
            for task in tasks
        ],
    }


def _cell(trials: list[Row]) -> dict[str, Any]:
    measured = [row for row in trials if row["kind"] == "model"]
    solved = sum(row["outcome"] == "solved" for row in measured)
    chosen = next((row for row in trials if row["outcome"] != "solved"), trials[0])
    text = f"{solved} of {len(measured)}" if measured else "error"
    rate = round(solved / len(measured), 3) if measured else None
    return {"text": text, "rate": rate, "href": chosen["href"]}


def _filters(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    tags = {tag for row in rows for tag in row["tags"].split()}
    return [
        *((name, sorted({row[name] for row in rows})) for name in ("pair", "outcome", "difficulty")),
        ("tag", sorted(tags)),
    ]


def _trial_row(row: Row) -> Row:
    """A row with its figures as texts; what is unknown is ``-``."""

    def shown(value: object) -> str:
        return "-" if value is None else str(value)

    known = [row[name] for name in TOKENS if row[name] is not None]
    return {
        **{name: row[name] for name in ("trial", "href", "pair", "outcome", "kind", "difficulty", "tags")},
        "detail": visible(row["detail"]),
        "attempts": shown(row["attempts"]),
        "tool_errors": shown(row["tool_errors"]),
        "tokens": f"{sum(known):,}" if known else "-",
        "cost": dollars(row["cost"]) if row["kind"] == "model" else "-",
        "wall": shown(row["recorded_wall_s"]),
    }


def _body(talk: Conversation) -> str:
    return str(
        _template("trial.html.j2").render(
            row=conversation.figures(talk.row),
            events=conversation.pieces(talk.transcript.events),
            stop=talk.transcript.stop,
            files=conversation.files(talk.files, talk.transcript.events),
            safe=_safe,
        )
    )


def _alone(name: str, body: str) -> str:
    """A conversation as a file of its own."""
    up = "../" * (name.count("/") + 1)
    style = _safe(_text("style.css"))
    back = f"{up}report.html#trials"
    return str(_template("alone.html.j2").render(title=name, style=style, body=_safe(body), back=back))


def _safe(markup: str) -> Any:
    """Text that is markup already: of this package, of the highlighter or of the plotting library."""
    from markupsafe import Markup

    return Markup(markup)  # noqa: S704  (its callers pass nothing of a model's that was not escaped)


def _text(name: str) -> str:
    return package_files("harness.results.page").joinpath(name).read_text(encoding="utf-8")


def _template(name: str) -> Any:
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_text), trim_blocks=True
    )
