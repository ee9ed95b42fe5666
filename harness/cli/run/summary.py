"""What an ad-hoc run came to, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from harness.agents.transcript import ROLES, Transcript
from harness.cli.run.delivery import Delivered
from harness.results.pricing import Prices, dollars
from harness.sandbox import TestRun
from harness.tasks.trial import Pair


def summary(
    folder: Path, delivered: Sequence[Delivered], run: TestRun | None, transcript: Transcript
) -> Iterator[str]:
    """Files, tests and the conversation in numbers."""
    for each in delivered:
        count = f"{each.lines} line{'s' * (each.lines != 1)}"
        told = f"not written: {each.kept_out}" if each.kept_out else f"written, {count}"
        yield f"file   {folder / each.name}: {told}"
    yield f"tests  {tests(run)}"
    if transcript.stop != "done":
        yield f"ended  by its {transcript.stop.replace('_', ' ')}"
    yield (
        f"talk   {transcript.attempts} attempt{'s' * (transcript.attempts != 1)}, "
        f"{transcript.tool_calls} tool calls, {transcript.tool_errors} of them failed, "
        f"{transcript.wasted_calls} wasted"
    )


def tests(run: TestRun | None) -> str:
    """The outcome of the generated tests, in a line."""
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
    """Tokens and US dollars for each role, and together; an unknown price is told as unknown."""
    models = {"orchestrator": pair.orchestrator.model, "coder": pair.coder, "tester": pair.tester}
    costs = []
    for role in ROLES:
        usage = transcript.usage(role)
        costs.append(prices.cost(models[role], usage, day))
        cached = f", cache {usage.cache_write:,} written {usage.cache_read:,} read"
        yield (
            f"tokens {role} ({models[role]}): {usage.input:,} in, {usage.output:,} out"
            f"{cached * bool(usage.cache_write or usage.cache_read)}; cost {dollars(costs[-1])}"
        )
    known = [cost for cost in costs if cost is not None]
    yield f"cost   {dollars(sum(known) if len(known) == len(costs) else None)}"
