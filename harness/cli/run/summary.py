"""Summarise an ad-hoc run in a few lines: files, tests, conversation, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from harness.agents.transcript import ROLES, Spent, Transcript
from harness.cli.run.delivered_files import WrittenFile
from harness.results.columns import counted
from harness.results.pricing import Prices, dollars
from harness.sandbox import TestRun
from harness.tasks.pair import Pair


def summary(
    folder: Path, files: Sequence[WrittenFile], pair: Pair, run: TestRun | None, transcript: Transcript
) -> Iterator[str]:
    """Yield a line for each file, and those on tests and conversation."""
    for file in files:
        outcome = (
            f"not written: {file.refusal}" if file.refusal else f"written, {counted(file.lines, 'line')}"
        )
        yield f"file   {folder / file.name}: {outcome}"
    yield f"tests  {tests(run) if run or pair.has_tester else 'none: nobody writes any'}"
    if transcript.stop != "done":
        yield f"ended  by its {transcript.stop.replace('_', ' ')}"
    yield (
        f"talk   {counted(transcript.attempts, 'attempt')}, "
        f"{transcript.tool_calls} tool calls, {transcript.tool_errors} of them failed, "
        f"{transcript.wasted_calls} wasted"
    )


def tests(run: TestRun | None) -> str:
    """Return the outcome of the generated tests, in a line."""
    if run is None:
        return "none ran: code or tests were not written"
    if run.passed:
        return f"{run.passes} passed"
    bad = [test for test in run.tests if test.outcome in ("failed", "error", "xpassed")]
    if not bad:
        return f"did not pass: {run.detail or run.status.replace('_', ' ')}"
    first = bad[0].text.splitlines()[0] if bad[0].text else bad[0].outcome
    return f"{len(bad)} failed, {run.passes} passed; {bad[0].name}: {first}"


def spending(pair: Pair, transcript: Transcript, prices: Prices, day: date) -> Iterator[str]:
    """Yield tokens and US dollars of each role that a model has, and dollars together.

    An unknown price is no 0.
    """
    models = {"orchestrator": pair.orchestrator.model, "coder": pair.coder, "tester": pair.tester}
    no_model = {"orchestrator": pair.is_direct, "tester": not pair.has_tester}
    costs = []
    for role in (each for each in ROLES if not no_model.get(each)):
        usage = transcript.usage(role)
        model, spent = models[role], transcript.spent(role) or (Spent(0, role, models[role], usage, 0),)
        costs.append(total(prices.cost(model, each.usage, day, each.steps) for each in spent))
        cached = f", cache {usage.cache_write:,} written {usage.cache_read:,} read"
        yield (
            f"tokens {role} ({models[role]}): {usage.input:,} in, {usage.output:,} out"
            f"{cached * bool(usage.cache_write or usage.cache_read)}; cost {dollars(costs[-1])}"
        )
    yield f"cost   {dollars(total(costs))}"


def total(costs: Iterable[float | None]) -> float | None:
    """Add up US dollars; None if a part is unknown."""
    found = list(costs)
    known = [cost for cost in found if cost is not None]
    return sum(known) if len(known) == len(found) else None
