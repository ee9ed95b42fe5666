"""What a run is expected to cost."""

from __future__ import annotations

import json
from datetime import date

from rows import a_row, an_infra_row
from shelves import TASK

from harness.results.estimate import GUESS, Estimate, History, of_trial, read_history, total, unpriced
from harness.results.pricing import Prices
from harness.tasks.loader import Price, load_task
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial

ON = date(2026, 11, 26)
PRICES = Prices({"m": Price(input=10, output=100), "big": Price(input=1, output=1)})


def pair(**fields: object) -> Pair:
    return Pair.model_validate({"name": "p", "orchestrator": {"model": "direct"}, "coder": "m", **fields})


def trials(of: Pair, count: int = 4) -> list[Trial]:
    task = load_task(TASK, "add.yaml")
    return [Trial(task=task, pair=of, epoch=n, source="add.yaml") for n in range(1, count + 1)]


def row(trial: str, task: str, tokens: int, model: str = "m") -> dict[str, object]:
    used = {f"{role}_{kind}": 0 for role in ("orchestrator", "coder", "tester") for kind in KINDS}
    used |= {"coder_input": tokens, "tester_output": tokens}
    requests = f"coder:1:{tokens},0,0,0,0 tester:2:0,0,0,{tokens},0 "
    return {
        **a_row(),
        "trial": trial,
        "task": task,
        "coder": model,
        "tester": model,
        "requests": requests,
        **used,
    }


def estimate(trials: list[Trial], history: History, prices: Prices, on: date) -> Estimate:
    return total(of_trial(each, history, prices, on) for each in trials)


KINDS = ("input", "cache_write", "cache_read", "output", "cache_write_1h")


def test_earlier_trials_of_the_task_come_first() -> None:
    """What its models used on the same task says more than what they used elsewhere."""
    history = History([row("p/add/1", "add", 1000), row("p/add/2", "add", 3000), row("p/x/1", "x", 90_000)])
    found = estimate(trials(pair()), history, PRICES, ON)
    assert (found.trials, found.calls, found.tokens, found.guessed) == (4, 4 * 3, 4 * 4000, 0)
    assert found.usd is not None
    assert abs(found.usd - 4 * (2000 * 10 + 2000 * 100) / 1e6) < 1e-9
    assert "as earlier trials of these models used" in str(found)


def test_other_tasks_of_the_models_come_next_and_then_a_guess_that_is_told() -> None:
    """Nothing is known of a model that never ran."""
    elsewhere = History([row("p/x/1", "x", 5000)])
    assert estimate(trials(pair()), elsewhere, PRICES, ON).tokens == 4 * 10_000
    unknown = estimate(trials(pair(coder="big")), elsewhere, PRICES, ON)
    assert unknown.guessed == 4
    assert unknown.calls == 4 * (GUESS["coder"][0] + GUESS["tester"][0])
    assert "a guess" in str(unknown)


def test_the_newest_run_of_a_trial_counts_and_broken_files_do_not_stop(tmp_path) -> None:
    """Replays of one recording are one trial; infra errors used nothing that could be known."""
    for run, tokens in (("20260101-a", 1), ("20260102-b", 1000)):
        (tmp_path / run).mkdir()
        rows = [row("p/add/1", "add", tokens), {**an_infra_row(), "trial": "p/add/2"}]
        (tmp_path / run / "trials.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "20260103-c").mkdir()
    (tmp_path / "20260103-c" / "trials.jsonl").write_text("{}\n")
    (tmp_path / "latest").symlink_to("20260102-b")
    assert read_history(tmp_path).expect("coder", "m", "add")[1].input == 1000


def test_only_what_is_paid_needs_a_price() -> None:
    """The stack's own models, mocks and the fixed policy cost nothing; a price that is unknown is no 0."""
    free = [
        pair(backend="local", coder="x"),
        pair(backend="mock", coder="oracle", tester="oracle"),
        pair(orchestrator={"model": "local/scripted"}),
    ]
    assert unpriced(free, PRICES, ON) == []
    assert estimate(trials(free[0]), History(), PRICES, ON).usd == 0
    paid = [pair(coder="x"), pair(orchestrator={"model": "ollama/y"}), pair(coder="x", tester="none")]
    assert unpriced(paid, PRICES, ON) == ["ollama/y", "x"]
    found = estimate(trials(paid[0]), History(), PRICES, ON)
    assert found.usd is None
    assert "unknown price" in str(found)
