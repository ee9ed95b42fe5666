"""The page of all runs: what each found, how a pair did from run to run, and any two runs compared.

It is made from what the runs' folders hold, without reading a conversation, so that it can be made anew
every few seconds while a run goes on. Links lead to ``RUN/report.html`` beside it: a folder with this page
and those is all that has to be published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from pydantic import TypeAdapter

from harness.errors import UsageError
from harness.results import courses
from harness.results.columns import marked
from harness.results.compare import Comparison, Ranking, between_runs, rank
from harness.results.dataframe import Table
from harness.results.page import answer, overview
from harness.results.page.blobs import blob
from harness.results.page.compose import render_page, render_part
from harness.results.run_folder import TRIALS, run_folders
from harness.results.run_state import State, read, status_of
from harness.results.tables import Row, rows_by

INDEX, PAGE, TABLES = "index.html", "report.html", "tables.json"
RANKING = TypeAdapter(Ranking)
COMPARED = 8  # newest runs that are compared with each other
COURSES_ALONE = "Courses alone: its page says what memory changes."
ACROSS = 8  # newest runs of the table of pairs


@dataclass(frozen=True)
class Run:
    """A run as the list shows it.

    Attributes:
        state: ``complete``, ``running``, ``interrupted``, or empty for runs of earlier versions.
        planned: How many trials it has, if that is known.
        trials: How many were measured, steps of courses among them.
        pairs: Rows of ``aggregate.summary``; of steps of courses there are none.
        pair_count: How many pairs ran, those on courses among them.
        has_page: Whether its page stands in its folder.
    """

    name: str
    began: str
    state: str
    planned: int | None
    trials: int
    infra_errors: int
    pairs: list[Row]
    pair_count: int
    verdict: str
    has_page: bool


def find_runs(
    reports: Path, load: Callable[[Path], Table], unread: list[UsageError] | None = None
) -> list[Run]:
    """Return all runs below a folder, newest first; ``load`` reads and prices the records of one.

    Those that cannot be read are left out, and why goes into ``unread``: one must not hide the others.
    """
    found = []
    for folder in run_folders(reports):
        try:
            found.append(_run(folder / TRIALS, load))
        except UsageError as error:
            if unread is not None:
                unread.append(error)
    return found


def _run(path: Path, load: Callable[[Path], Table]) -> Run:
    folder = path.parent
    state, began = "", ""
    planned: int | None = None
    with suppress(UsageError):  # of an earlier version, or put together from others
        kept = read(folder, State)
        state, planned, began = str(status_of(folder, kept)), kept.planned, kept.began[:16].replace("T", " ")
    pairs, of_courses, ranking = _summary(path, load)
    models = [row for row in pairs if row["trials"] and row["mark"] != overview.MOCK]
    return Run(
        folder.name,
        began,
        state,
        planned,
        trials=sum(row["trials"] for row in pairs + of_courses),
        infra_errors=sum(row["infra_errors"] for row in pairs + of_courses),
        pairs=pairs,
        pair_count=len({row["pair"] for row in pairs + of_courses}),
        verdict=COURSES_ALONE if of_courses and not pairs else answer.verdict(ranking, models, pairs),
        has_page=(folder / PAGE).is_file(),
    )


def _summary(path: Path, load: Callable[[Path], Table]) -> tuple[list[Row], list[Row], Ranking]:
    """Return the rows of pairs, those on courses, and the ranking: of the end, or of the records so far."""
    if not path.is_file():
        return [], [], rank([], [], "pair")
    try:
        if (tables := path.with_name(TABLES)).stat().st_mtime >= path.stat().st_mtime:
            kept = json.loads(tables.read_text(encoding="utf-8"))
            return kept["by"]["pair"], kept["courses"], RANKING.validate_python(kept["ranking"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    trials = load(path)
    pairs = rows_by(courses.plain(trials), "pair")
    return pairs, courses.rows(trials), rank([], pairs, "pair")


def runs_page(
    runs: Sequence[Run],
    reports: Path,
    load: Callable[[Path], Table],
    refresh_s: int = 0,
    known: dict[Hashable, str] | None = None,
) -> str:
    """Return the page; with ``refresh_s`` it loads itself anew every so many seconds while a run goes on.

    ``known`` keeps comparisons from one call to the next, where neither run has got further records.
    """
    goes_on = any(run.state == "running" for run in runs)
    recorded = [run for run in runs if run.trials + run.infra_errors]
    parts = render_page(
        "runs.html.j2",
        "runs.js",
        runs=runs,
        across=_across(recorded[:ACROSS]),
        columns=[run.name for run in recorded[:ACROSS]],
        compared=[run.name for run in recorded[:COMPARED]],
        more=len(recorded) - COMPARED,
        comparisons=blob(_comparisons(recorded[:COMPARED], reports, load, {} if known is None else known)),
        refresh_s=refresh_s if goes_on else 0,
    )
    return "".join(parts)


def _across(runs: Sequence[Run]) -> list[tuple[str, list[Row | None]]]:
    """Return for each pair its row in each run, the pairs of most runs first."""
    rows: dict[str, list[Row | None]] = {}
    for number, run in enumerate(runs):
        for row in run.pairs:
            name = marked(row["pair"], row["mark"])
            rows.setdefault(name, [None] * len(runs))[number] = row if row["trials"] else None
    return sorted(rows.items(), key=lambda item: sum(row is None for row in item[1]))


def _comparisons(
    runs: Sequence[Run], reports: Path, load: Callable[[Path], Table], known: dict[Hashable, str]
) -> dict[str, str]:
    """Return by ``older|newer`` what the same pairs did in both."""
    paths = {run.name: reports / run.name / TRIALS for run in runs}
    table = cache(load)
    panels = {}
    for newer, older in combinations(paths, 2):
        key = (older, newer, paths[older].stat().st_mtime_ns, paths[newer].stat().st_mtime_ns)
        if key not in known:
            known[key] = _panel(older, newer, table(paths[older]), table(paths[newer]))
        panels[f"{older}|{newer}"] = known[key]
    return panels


def _panel(older: str, newer: str, first: Table, second: Table) -> str:
    found: list[Comparison] = []
    problem = ""
    try:
        found = between_runs(first, second, (older, newer), "pair")
    except UsageError as error:
        problem = error.message
    rows = [(each.names[0].replace(f" in {older}", ""), each) for each in found]
    return render_part("compared.html.j2", older=older, newer=newer, problem=problem, rows=rows)
