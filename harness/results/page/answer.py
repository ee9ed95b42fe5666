"""Say what a run answers: which pair is best, how sure that is, at what price, and what would tell more.

Values in, values out; the figures themselves come from ``aggregate.py`` and ``compare.py``.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.columns import counted, marked
from harness.results.compare import Comparison, Ranking
from harness.results.page.overview import (
    MOCK,
    in_dollars,
    is_established,
    plain_p,
    signed,
    tokens_per_trial,
)
from harness.results.pricing import dollars
from harness.results.render import short_count
from harness.results.stats import FEWEST, tasks_to_show
from harness.results.tables import Row, Tables

NAMED = 3  # names in a sentence; more are counted
WORTH_SHOWING = 10  # points: what is asked for where the best are tied exactly


@dataclass(frozen=True)
class Answer:
    """What a reader wants to know first, in sentences.

    Attributes:
        verdict: Which pair is best, or which are tied.
        caveat: What stands in for the models of which the verdict speaks; may be empty.
        facts: Short heading and sentence: how sure, at what price, what it rests on, what it can tell.
        next_steps: What to run to be surer, if that is open.
    """

    verdict: str
    caveat: str
    facts: tuple[tuple[str, str], ...]
    next_steps: NextSteps | None


@dataclass(frozen=True)
class NextSteps:
    """What to run to be surer: for what, and commands with what each would give and take."""

    purpose: str
    commands: tuple[tuple[str, str], ...]


def in_sentences(tables: Tables, rows: Sequence[Row]) -> Answer:
    """Return the sentences of the first screen."""
    pairs = tables.pairs
    models = [row for row in pairs if row["trials"] and row["mark"] != MOCK]
    facts = [
        ("How sure", _sureness(tables, models)),
        ("At what price", _price(models)),
        ("What it rests on", _basis(pairs, rows)),
        ("What it can tell", _surer(tables, models)),
    ]
    sentence = verdict(tables.ranking, models, pairs)
    steps = next_steps(tables, models, rows)
    return Answer(sentence, _caveat(models), tuple(fact for fact in facts if fact[1]), steps)


def _caveat(models: list[Row]) -> str:
    stand_ins = [row for row in models if row["mark"]]
    if not stand_ins:
        return ""
    which = "All pairs" if len(stand_ins) == len(models) else f"{len(stand_ins)} of {len(models)} pairs"
    what = "small local models in place of Claude, whose figures these are not"
    return f"{which} of models are stand-ins: {what}."


def verdict(ranking: Ranking, models: Sequence[Row], pairs: Sequence[Row]) -> str:
    """Return which pair is best, or which are tied. ``models`` are the measured pairs that are no mocks."""
    if not models:
        mocks = sum(bool(row["trials"]) for row in pairs)
        return (
            "Only mocks ran: no model wrote code, so no pair is best." if mocks else "Nothing was measured."
        )
    names = {marked(row["pair"], row["mark"]): row["pair"] for row in models}  # the caveat says what they are
    best, close = ([names[name] for name in found] for found in (ranking.best, ranking.close))
    rate = f"{ranking.rate_pct:.0f} %" if ranking.rate_pct >= 10 else f"{ranking.rate_pct:.1f} %"
    if not ranking.rate_pct:
        return "No pair solved anything." if len(models) > 1 else f"{best[0]} solved nothing."
    if len(models) == 1:
        return f"{best[0]} solves {rate}. There is no second pair to hold it against."
    if len(best) > 1:
        least = _least([row for row in models if row["pair"] in best])
        tied = f"No single best pair: {len(best)} are tied at {rate}"
        return f"{tied}; {least}." if least else f"{tied}: {_listed(best)}."
    if len(ranking.worse) == len(models) - 1:
        others = "the other pair" if len(models) == 2 else f"all {len(models) - 1} others"
        return f"{best[0]} is best: it solves {rate}, and its lead over {others} is established."
    if not close:
        return f"{best[0]} solves most, {rate}; not all others were compared with it."
    return f"{best[0]} solves most, {rate}, but its lead over {_listed(close)} could be chance."


def _least(tied: Sequence[Row]) -> str:
    """Return which of the tied pairs is cheapest, or needs fewest tokens; nothing if several are."""
    money = in_dollars(tied)
    spent = {row["pair"]: row["cost_per_trial"] if money else tokens_per_trial(row) for row in tied}
    known = sorted(value for value in spent.values() if value is not None)
    least = [pair for pair, value in spent.items() if known and value == known[0]]
    if len(least) != 1:
        return ""
    what = "fewest tokens" if not money else "cheapest"
    return f"{what if len(known) == len(tied) else f'{what} with a known price'}: {least[0]}"


def _listed(names: Sequence[str]) -> str:
    shown, more = list(names[:NAMED]), len(names) - NAMED
    if more > 0:
        shown.append(f"{more} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _sureness(tables: Tables, models: list[Row]) -> str:
    if not models:
        return ""
    best = models[0]
    text = (
        f"{marked(best['pair'], best['mark'])} solved {best['solved']} of {best['trials']} trials: "
        f"{best['solved_pct']:.1f} %, 95 % interval {best['solved_low_pct']:.0f} to "
        f"{best['solved_high_pct']:.0f} %"
    )
    if best["tasks"] < best["trials"]:
        text += (
            f", clustered by its {best['tasks']} tasks" if best["tasks"] > 1 else ", of this one task alone"
        )
    text += f".{_lead(tables, models)}"
    among = [each for each in tables.comparisons if MOCK not in each.marks and each.tasks]
    if among:
        sure = sum(map(is_established, among))
        text += f" {counted(len(among), 'difference')} between pairs of models: {sure} established (5 %, "
        text += f"adjusted for all comparisons), {len(among) - sure} could be chance."
    return text


def _lead(tables: Tables, models: list[Row]) -> str:
    """Return the difference of the best to the next, and how sure that is; empty where several are best."""
    if len(models) < 2 or len(tables.ranking.best) > 1:
        return ""
    best, following = (marked(row["pair"], row["mark"]) for row in models[:2])
    each = next((each for each in tables.comparisons if {*each.names} == {best, following}), None)
    if each is None or each.interval_pct is None or each.difference_pct is None:
        return ""
    sign = 1 if each.names[1] == best else -1
    low, high = sorted(sign * bound for bound in (each.interval_pct.low, each.interval_pct.high))
    shared = f" on {counted(each.tasks, 'shared task')}" if each.left_out or each.changed else ""
    return (
        f" Against {following}: {signed(sign * each.difference_pct)} points{shared}, 95 % interval "
        f"{signed(low)} to {signed(high)}, {plain_p(each.p_holm)}."
    )


def _price(models: list[Row]) -> str:
    if not models:
        return ""
    if not in_dollars(models):
        least = min(models, key=tokens_per_trial)
        name = marked(least["pair"], least["mark"])
        return f"Nothing was paid. Fewest tokens: {name}, {short_count(tokens_per_trial(least))} a trial."
    known = [row for row in models if row["cost_per_trial"] is not None]
    parts = []
    if known:
        best = models[0]
        if best["cost_per_solved"] is not None:
            name = marked(best["pair"], best["mark"])
            parts.append(f"{name}: {dollars(best['cost_per_solved'])} a solved trial.")
        cheap = min(known, key=lambda row: math.inf if not row["solved"] else row["cost_per_solved"])
        if cheap is not best and cheap["solved"]:
            name = marked(cheap["pair"], cheap["mark"])
            parts.append(f"Cheapest: {name}, {dollars(cheap['cost_per_solved'])}.")
        parts.append(f"The run: {dollars(sum(row['cost'] for row in known))}.")
    unknown = sorted({name for row in models if row["unpriced"] for name in row["unpriced"].split(", ")})
    if unknown:
        parts.append(f"No price is known for {_listed(unknown)} (benchmarks/prices.yaml).")
    return " ".join(parts)


def _basis(pairs: list[Row], rows: Sequence[Row]) -> str:
    measured = [row for row in rows if row["kind"] == "model"]
    if not measured:
        return f"{counted(len(rows), 'trial')}, all of them infra errors." if rows else ""
    tasks = len({row["task"] for row in measured})
    epochs = max(row["epoch"] for row in measured)
    days = sorted({row["recorded_at"][:10] for row in measured if row["recorded_at"]})
    text = f"{counted(len(measured), 'trial')}: {counted(tasks, 'task')}, up to {counted(epochs, 'epoch')}, "
    text += counted(sum(bool(row["trials"]) for row in pairs), "pair")
    text += f"; recorded {' to '.join(dict.fromkeys((days[0], days[-1])))}." if days else "."
    if mocks := sum(row["mark"] == MOCK for row in pairs if row["trials"]):
        text += f" {counted(mocks, 'pair')} mocked: the task file wrote the code, not a model."
    if len(rows) > len(measured):
        text += f" {counted(len(rows) - len(measured), 'infra error')} in no percentage."
    return text


def _surer(tables: Tables, models: list[Row]) -> str:
    """Return what so many tasks can establish."""
    compared = _among_models(tables)
    if len(models) < 2 or not compared:
        return ""
    among = [each for each in compared if not each.is_too_small]
    nothing = "can establish nothing, however large the difference"
    if not among:
        tasks = counted(max(each.tasks for each in compared), "task")
        return f"With {tasks} a comparison {nothing}: it takes {FEWEST} at the least."
    least = [each.smallest_pct or 0.0 for each in among]
    low, high = round(min(least)), round(max(least))
    fewest, most = min(each.tasks for each in among), max(each.tasks for each in among)
    tasks = counted(most, "task") if fewest == most else f"{fewest} to {most} tasks"
    points = f"{low}" if low == high else f"{low} to {high}"
    text = (
        f"With {tasks} a true difference of {points} points is established four times in five if it is the "
        "only comparison; among many it has to be larger."
    )
    return text if among == compared else f"{text} A comparison of fewer than {FEWEST} tasks {nothing}."


def _among_models(tables: Tables) -> list[Comparison]:
    return [each for each in tables.comparisons if MOCK not in each.marks and each.smallest_pct]


def next_steps(tables: Tables, models: Sequence[Row], rows: Sequence[Row]) -> NextSteps | None:
    """Return what to run to tell the two best pairs apart; None where that is settled, or of courses."""
    names = tables.ranking.best + tables.ranking.close
    among = _among_models(tables) if len(models) > 1 and len(names) > 1 else []
    behind = next((each for each in among if {*names[:2]} == {*each.names}), None)
    if behind is None or behind.steps or is_established(behind):
        return None
    two = [row for row in models if row["pair"] in (behind.first, behind.second)]
    trials = [row for row in rows if row["pair"] in (behind.first, behind.second) and row["kind"] == "model"]
    epochs = max(row["epoch"] for row in trials)
    wanted_epochs = max(5, 2 * epochs)
    record = "pytest benchmarks " + " ".join(f"--pair {shlex.quote(row['pair'])}" for row in two)
    record += " --epochs {} --record=once"
    more_trials = {row["pair"]: max(0, wanted_epochs * row["tasks"] - row["trials"]) for row in two}
    effort = _effort(two, trials, more_trials)
    longer = (
        f"{counted(wanted_epochs - epochs, 'more epoch')} of the same tasks, {wanted_epochs} in all, to even "
        f"out luck within a task; which difference that would establish, these figures do not tell. {effort} "
        f"To replay them all later, set “epochs: {wanted_epochs}” of both in pairs.yaml."
    )
    steps = [(record.format(wanted_epochs), longer)]
    gap = abs(behind.difference_pct or 0)
    wanted = gap if gap >= 1 else WORTH_SHOWING
    flips = [flip.second - flip.first for flip in behind.flips]
    needed = tasks_to_show(flips + [0.0] * (behind.tasks - len(flips)), wanted / 100)
    if (more := needed - behind.tasks) > 0:
        wider = (
            f"once for each of {more:,} more tasks, {needed:,} in all: about so many, if they are like "
            f"these, establish a true difference of {wanted:.0f} points four times in five."
        )
        effort = _effort(two, trials, {row["pair"]: more * epochs for row in two})
        steps += [
            ("harness new task NAME", wider),
            (record.format(epochs), f"then these new tasks, with both pairs. {effort}"),
        ]
    a, b = names[:2]
    return NextSteps(f"To tell {a} and {b} apart ({gap:.0f} points, could be chance)", tuple(steps))


def _effort(pairs: Sequence[Row], trials: Sequence[Row], more: dict[str, int]) -> str:
    """Return what so many more trials of each pair would take, at the means of its trials so far."""
    seconds, dollars_spent, tokens = 0.0, 0.0, 0.0
    for row in pairs:
        count = more[row["pair"]]
        walls = [
            each["recorded_wall_s"]
            for each in trials
            if each["pair"] == row["pair"] and each["recorded_wall_s"] is not None
        ]
        seconds += count * (sum(walls) / len(walls) if walls else math.nan)
        tokens += count * tokens_per_trial(row)
        dollars_spent += count * (math.nan if row["cost_per_trial"] is None else row["cost_per_trial"])
    if math.isnan(seconds):
        time = "time unknown"
    else:
        time = f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{max(1, round(seconds / 60))} min"
        time += " one after another"
    price = "price unknown" if math.isnan(dollars_spent) else dollars(dollars_spent)
    return f"About {sum(more.values()):,} trials: {time}, {short_count(tokens)} tokens, {price}."
