"""Tell why a cassette no longer fits its trial, and what to do about it.

``changes`` compares digests with what was recorded, without running anything; ``stale`` is the error of a
replay that failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Literal

from harness.agents import prompts
from harness.cassette.file import Cassette
from harness.errors import StaleCassette
from harness.tasks.pair import Pair
from harness.tasks.task import digest
from harness.tasks.trial import Trial

Way = Literal["unmatched", "again", "unplayed", "unplayable"]
WAYS: dict[Way, str] = {
    "unmatched": "undo what makes the harness ask otherwise, or record it again",
    "again": "look for a retry or a loop that asks the same twice, or record it again",
    "unplayed": "undo what makes the harness ask for less, or record it again",
    "unplayable": "restore the file, or record it again",
}


@dataclass(frozen=True)
class Change:
    """One thing that has changed since a cassette was recorded; ``text`` is part of a sentence."""

    what: Literal["trial", "task", "prompts", "pair"]
    text: str
    remedy: str


def changes(cassette: Cassette, trial: Trial) -> list[Change]:
    """List what has changed since a cassette was recorded for a trial."""
    again = f"record it again: {command(trial, 'all')}"
    found = []
    if cassette.trial != trial.slug:
        text = f"it was recorded for another trial, {cassette.trial[:160]!r}"
        found.append(Change("trial", text, f"move it back, or {again}"))
    if cassette.task != trial.task.digest:
        text = "the task changed since: what models see of it, or its limits"
        found.append(Change("task", text, f"restore {trial.source}, or {again}"))
    if cassette.prompts != prompts.prompts_digest():
        everything = "every cassette of that time is concerned: pytest benchmarks --record=all"
        found.append(Change("prompts", "the harness's prompts changed since", f"{again} ({everything})"))
    if cassette.recorded.get("pair") != pair_digest(trial.pair):
        remedy = f"restore the pair {trial.pair.name}, or {again}"
        text = f"the pair changed since: {_changed_model(cassette, trial.pair)}"
        found.append(Change("pair", text, remedy))
    return found


def _changed_model(cassette: Cassette, pair: Pair) -> str:
    now = {"orchestrator": pair.orchestrator.label, "coder": pair.coder, "tester": pair.tester}
    for role, model in {**now, "backend": pair.backend}.items():
        was = cassette.recorded.get(role, model)
        if was != model:
            return f"{role} was {str(was)[:80]!r}, is {model!r}"
    return "its settings"


def stale(way: Way, cassette: Cassette, trial: Trial, display: str, what: str) -> StaleCassette:
    """Return the error of a replay that failed; ``what`` is the exchange, and how it differs.

    The ways: a request that was not recorded, one that was played already, recorded exchanges that were not
    asked for, an answer that is of no use.
    """
    found = changes(cassette, trial)
    because = f" ({'; '.join(each.text for each in found)})" if found else ""
    remedy = found[0].remedy if found else f"{WAYS[way]}: {command(trial, 'all')}"
    return StaleCassette(f"{display}{because}: {what}", remedy=remedy)


def require_unchanged(cassette: Cassette, trial: Trial, display: str) -> None:
    """Raise StaleCassette if a cassette was recorded for another trial, or anything has changed since."""
    found = changes(cassette, trial)
    if found:
        text = "; ".join(each.text for each in found)
        raise StaleCassette(f"{display}: {text}", remedy=found[0].remedy)


def command(trial: Trial, mode: Literal["once", "all"] = "once") -> str:
    """Return the command that records just this trial, quoted for a shell."""
    pair = trial.pair
    models = (pair.orchestrator.model, pair.coder)
    options = f" --record={mode}"
    if pair.name == Pair.of_models(*models).name:
        options += f" --orchestrator {quote(models[0])} --coder {quote(models[1])}"
    if trial.epoch > 1:
        options += f" --epochs {trial.epoch}"
    return f"pytest {quote(f'{trial.source}::{pair.name}[{trial.epoch}]')}{options}"


def pair_digest(pair: Pair) -> str:
    """Hash a pair's models and settings, as kept in each cassette."""
    asked = {"coder_settings", "tester_settings"}
    chosen = {"epochs", "on_request", "tasks", "courses"}  # for what it is run, not how
    settings = pair.model_dump(mode="json", exclude={*chosen, *asked})
    settings |= {name: getattr(pair, name).given or None for name in asked}
    if pair.orchestrator.server == "v1":  # as it was before there was a choice
        del settings["orchestrator"]["server"]
    if pair.memory == "none":  # likewise
        del settings["memory"]
    if pair.memory != "carried":
        del settings["history"]
    return digest({name: value for name, value in settings.items() if value is not None})
