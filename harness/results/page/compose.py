"""Compose the page of a run. Jinja, imported here only, escapes every text that is not marked ``safe``."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.agents.transcript import Spent
from harness.results import render
from harness.results.columns import BY, TOKENS, marked
from harness.results.compare import Comparison
from harness.results.evidence import TaskTexts
from harness.results.layout import informative
from harness.results.page import answer, memory, overview, scatter
from harness.results.page.blobs import blob
from harness.results.page.outcomes import mark_of_trial
from harness.results.page.trial import is_long, view_values
from harness.results.pricing import dollars
from harness.results.run_folder import Conversation
from harness.results.tables import Row, Tables
from harness.terminal import visible

if TYPE_CHECKING:
    from jinja2 import Environment

LISTED = (  # columns that the list of trials shows
    *("trial", "task", "pair", "epoch", "kind", "outcome", "difficulty", "tags", "attempts", "tool_errors"),
    *("recorded_wall_s", "detail"),
)
MOST_ROWS = 5_000  # trials in the list
MOST_BYTES = 12_000_000  # of compressed conversations
IN_WORDS: dict[str, Callable[[Comparison], str]] = {  # in place of the terminal's
    "p": lambda each: overview.plain_p(each.p_holm).removeprefix("p = ") if each.tasks else "-",
    "verdict": lambda each: "established" if overview.is_established(each) else "could be chance",
}
DIFFERENCES = [(title, IN_WORDS.get(title, cell)) for title, cell in render.DIFFERENCES]
Views: TypeAlias = list[tuple[list[str], str]]  # names of trials, and what shows them, packed
SIZES = {"wide": (1100, 440), "narrow": (360, 360)}  # of the chart, in pixels


@dataclass(frozen=True)
class Sources:
    """Where the page finds what is not in the tables.

    Attributes:
        conversation: Of a trial's row.
        texts: Of a task; None where the run did not keep them.
        cost: Of one answer in a trial, in US dollars; None where it is unknown.
    """

    conversation: Callable[[Row], Conversation]
    texts: Callable[[str], TaskTexts | None]
    cost: Callable[[Mapping[str, Any], Spent], float | None]


def page(title: str, tables: Tables, trials: Sequence[Row], shown: Views, missing: str = "") -> Iterator[str]:
    """Return the parts of a run's page. Each trial's row has its ``cost``; ``shown``: their ``views``.

    ``missing`` is a sentence on trials without a result: it stands first, and there is no next step then.

    Of a very large run the list and the conversations end somewhere, and the page says so; what was not
    solved comes first.
    """
    listed = _listed(trials)
    place = {name: number for number, (names, _) in enumerate(shown) for name in names}
    pairs = tables.pairs
    names = overview.pair_names(trials)
    filters = {
        name: sorted({row[name] or "" for row in listed}) for name in ("pair", "outcome", "difficulty")
    }
    filters["task"] = sorted({row["task"] for row in listed})
    filters["tag"] = sorted({tag for row in listed for tag in row["tags"].split()})
    money = overview.in_dollars(pairs)
    steps = [row for row in trials if row.get("course")]
    single = [row for row in trials if not row.get("course")]
    only_courses = bool(tables.courses) and not pairs
    return render_page(
        "page.html.j2",
        "script.js",
        title=title,
        tables=tables,
        missing=missing,
        answer=memory.answer(tables, steps) if only_courses else answer.in_sentences(tables, single),
        memory=memory.section(tables, steps),
        only_courses=only_courses,
        ranking=overview.ranking_rows(tables),
        money=money,
        matrix=overview.matrix(tables),
        differences=blob({str(n): _difference(each) for n, each in enumerate(tables.comparisons)}),
        grid=overview.grid(single, pairs),
        bars=overview.outcome_bars(single, pairs),
        legend=overview.legend(single),
        charts=_charts(pairs, money=money),
        unpriced=sorted({name for row in pairs if row["unpriced"] for name in row["unpriced"].split(", ")}),
        roles=overview.role_shares(pairs),
        spending=render.spending_rows(pairs),
        columns={
            "differences": informative([*DIFFERENCES, *render.SAVINGS[2:]], tables.comparisons),
            "spending": render.SPENDING,
            "testers": render.TESTERS,
            "courses": informative(render.COURSES, tables.courses),
            **{by: render.results(by) for by in BY},
        },
        text_columns=render.TEXTS,
        groups=[(by, tables.by[by]) for by in BY if by not in ("pair", "task")],
        filters=filters,
        trials=[_trial_row(row, names, place) for row in listed],
        left_out=len(trials) - len(listed),
        without_view=sum(row["trial"] not in place for row in listed),
        blobs=[text for _, text in shown],
    )


def _listed(trials: Sequence[Row]) -> list[Row]:
    """Return the rows that the page lists, in its order."""
    listed = sorted(trials, key=lambda row: row["outcome"] == "solved")[:MOST_ROWS]
    return sorted(listed, key=lambda row: (row["task"], row["pair"], row["epoch"]))


def views(trials: Sequence[Row], sources: Sources) -> Views:
    """Return the views of the trials of each task, compressed together, as far as there is room for them."""
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in _listed(trials):
        by_task[row["task"]].append(row)
    found: Views = []
    room = MOST_BYTES
    for task, rows in by_task.items():
        if room <= 0:
            break
        texts = sources.texts(task)
        of_task = {row["trial"]: trial_view(sources.conversation(row), texts, sources) for row in rows}
        packed = blob(of_task)
        room -= len(packed)
        found.append((list(of_task), packed))
    return found


def trial_view(conversation: Conversation, texts: TaskTexts | None, sources: Sources) -> str:
    """Return the view of one trial."""
    row = conversation.row
    return render_part(
        "trial.html.j2",
        **view_values(conversation, texts, sources.cost),
        mark=mark_of_trial(row),
        tokens=_tokens(row),
        cost=_cost(row),
    )


def _charts(pairs: Sequence[Row], *, money: bool) -> dict[str, str]:
    """Return the picture in each size; none of mocks, whose price is nobody's."""
    points = []
    for row in pairs:
        spent = row["cost_per_trial"] if money else overview.tokens_per_trial(row)
        if row["trials"] and row["mark"] != overview.MOCK and spent is not None:
            rates = row["solved_pct"], row["solved_low_pct"], row["solved_high_pct"]
            points.append(scatter.Point(marked(row["pair"], row["mark"]), spent, *rates))
    if not points:
        return dict.fromkeys(SIZES, "")
    number = dollars if money else render.short_count
    axis = "US dollars a trial" if money else "tokens a trial"
    pictures = {name: scatter.picture(points, number, axis, *size) for name, size in SIZES.items()}
    return {name: render_part("scatter.html.j2", p=each) for name, each in pictures.items()}


def _difference(each: Comparison) -> str:
    return render_part("difference.html.j2", each=each)


def _trial_row(row: Row, names: Mapping[str, str], place: Mapping[str, int]) -> Row:
    """Return a row with its tokens and its cost as texts; what is unknown is ``-``."""
    known = {"tokens": _tokens(row) or "-", "cost": _cost(row) or "-", "mark": mark_of_trial(row)}
    shown = {name: row[name] for name in LISTED}
    return {**shown, **known, "name": names[row["pair"]], "blob": place.get(row["trial"])}


def _tokens(row: Row) -> str:
    known = [row[name] for name in TOKENS if row[name] is not None]
    return f"{sum(known):,}" if known else ""


def _cost(row: Row) -> str:
    return dollars(row["cost"]) if row["kind"] == "model" else ""


def render_page(template: str, script_file: str, **values: Any) -> Iterator[str]:
    """Return the parts of a page: the template with the style, and the one script that its policy allows."""
    script = _text(script_file)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    values |= {"style": _text("style.css"), "script": script, "policy": policy}
    return _environment().get_template(template).generate(values)


def _text(name: str) -> str:
    return package_files("harness.results.page").joinpath(name).read_text(encoding="utf-8")


def render_part(template: str, **values: Any) -> str:
    """Return a template with these values in it."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_text), trim_blocks=True
    )
    environment.filters |= {
        "visible": visible,
        "is_long": is_long,
        "dollars": dollars,
        "plain_p": overview.plain_p,
        "signed": overview.signed,
        "with_minus": overview.with_minus,
    }
    return environment
