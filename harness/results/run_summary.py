"""The results of a run, and how CI shows them: in Markdown, and as GitHub's workflow commands."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.files import write_whole
from harness.results import render
from harness.results.columns import counted
from harness.results.tables import Row, Tables

FILE = "summary.md"
MARK = "<!-- pair-harness -->"  # by which a workflow finds its own comment on a pull request
VARIABLE = "GITHUB_STEP_SUMMARY"
COMMAND = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})

OUTCOME = ["trial", "pair", "kind", "outcome", "detail"]


@dataclass(frozen=True)
class RunSummary:
    """The results of a run: its tables, a line for each pair of the baseline, and for each missed gate.

    ``outcomes``: of each trial the columns ``OUTCOME``. ``broken``: a line for each file that has trials, and
    could not be read.
    """

    tables: Tables
    outcomes: list[Row]
    changes: list[str]
    failures: list[str]
    problem: str  # why the report could not be written, or empty
    broken: Sequence[str] = ()


def markdown(summary: RunSummary) -> str:
    """Return the verdict, what failed, what changed since the baseline, and the tables."""
    parts = ["; ".join(render.headline(summary.tables.ranking)).replace("|", "\\|")]
    lines = [f"- **gate:** {line}" for line in summary.failures]
    lines += [f"- **error:** {line}" for line in errors(summary)]
    lines += [f"- {line}" for line in summary.changes]
    parts += ["\n".join(lines), render.markdown(summary.tables)]
    return "\n\n".join(["## Pairs", *filter(None, parts)]).rstrip() + "\n"


def errors(summary: RunSummary) -> Iterator[str]:
    """Yield a line for each broken file, and for each kind of trial that says nothing about its models."""
    yield from (f"its trials are missing: {line}" for line in summary.broken)
    kinds = Counter(str(row["outcome"]) for row in summary.outcomes if row["kind"] == "infra")
    for outcome, number in sorted(kinds.items()):
        first = next(row["trial"] for row in summary.outcomes if row["outcome"] == outcome)
        more = f" and {number - 1} more" if number > 1 else ""
        yield f"{counted(number, 'trial')}: {outcome.replace('_', ' ')} ({first}{more})"


def write(folder: Path, summary: RunSummary) -> None:
    """Write the summary into the run's folder.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(folder / FILE, f"{MARK}\n{markdown(summary)}")


def append(environment: Mapping[str, str], summary: RunSummary) -> None:
    """Append it to the file of GitHub's job summary, if there is one; failing to do so fails nothing."""
    if path := environment.get(VARIABLE):
        with suppress(OSError), Path(path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(markdown(summary))


def workflow_commands(summary: RunSummary, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield a workflow command for each missed gate and each kind of error; none outside of GitHub."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    for title, lines in (("gate missed", summary.failures), ("not measured", errors(summary))):
        for line in lines:
            yield f"::error title={title}::{line.translate(COMMAND)}"
