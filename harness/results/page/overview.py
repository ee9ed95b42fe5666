"""Arrange a run's figures as its page shows them: the answer, the ranking, the matrix, the grid of tasks.

Values in, values out; the figures themselves come from ``aggregate.py`` and ``compare.py``.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from harness.agents.transcript import ROLES
from harness.results.columns import KINDS, TOKENS, counted, mark_of, marked
from harness.results.compare import Comparison, Ranking
from harness.results.page.outcomes import INFRA, MARKS, Mark, mark_of_trial
from harness.results.pricing import dollars
from harness.results.render import short_count
from harness.results.tables import Row, Tables

MOCK = "mock"
NAMED = 3  # names in a sentence; more are counted
FEW_EPOCHS = 3  # so many letters fit into a cell
WORTH_SHOWING = 10  # points: what is asked for where the best are tied exactly


def is_established(each: Comparison) -> bool:
    """Return True if a difference is more than chance, at 5 % over all comparisons of the run."""
    return each.verdict != "not shown"


def plain_p(p: float) -> str:
    """Return a p value in three decimals at the most."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


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


def in_dollars(pairs: Iterable[Row]) -> bool:
    """Return True if some pair cost something, or its price is unknown: else tokens tell pairs apart."""
    return any(row["trials"] and row["cost"] != 0 for row in pairs)


def ordered(pairs: Sequence[Row]) -> list[Row]:
    """Return the rows of pairs: best first, then mocks, then those of which nothing was measured."""

    def place(row: Row) -> tuple[bool, bool, float, float, str]:
        cost = math.inf if row["cost_per_trial"] is None else row["cost_per_trial"]
        return not row["trials"], row["mark"] == MOCK, -(row["solved_pct"] or 0), cost, row["pair"]

    return sorted(pairs, key=place)


def answer(tables: Tables, rows: Sequence[Row]) -> Answer:
    """Return the sentences of the first screen."""
    pairs = ordered(tables.pairs)
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
        text += f", clustered by its {counted(best['tasks'], 'task')}"
    text += "."
    among = [each for each in tables.comparisons if MOCK not in each.marks and each.tasks]
    if among:
        sure = sum(map(is_established, among))
        text += f" {counted(len(among), 'difference')} between pairs of models: {sure} established (5 %, "
        text += f"adjusted for all comparisons), {len(among) - sure} could be chance."
    return text


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
    among = _among_models(tables)
    if len(models) < 2 or not among:
        return ""
    least = [each.smallest_pct or 0.0 for each in among]
    low, high = round(min(least)), round(max(least))
    fewest, most = min(each.tasks for each in among), max(each.tasks for each in among)
    tasks = counted(most, "task") if fewest == most else f"{fewest} to {most} tasks"
    points = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"With {tasks} a true difference of {points} points is established four times in five if it is the "
        "only comparison; among many it has to be larger."
    )


def _among_models(tables: Tables) -> list[Comparison]:
    return [each for each in tables.comparisons if MOCK not in each.marks and each.smallest_pct]


def next_steps(tables: Tables, models: Sequence[Row], rows: Sequence[Row]) -> NextSteps | None:
    """Return what to run to tell the two best pairs apart; None where that is settled, or of courses."""
    names = tables.ranking.best + tables.ranking.close
    among = _among_models(tables) if len(models) > 1 and len(names) > 1 else []
    behind = next((each for each in among if {*names[:2]} == {*each.names}), None)
    if behind is None or behind.smallest_pct is None or behind.steps or is_established(behind):
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
        f"out luck within a task; which difference that would establish, these figures do not tell. {effort}"
    )
    steps = [(record.format(wanted_epochs), longer)]
    gap = abs(behind.difference_pct or 0)
    wanted = gap if gap >= 1 else WORTH_SHOWING
    needed = math.ceil(behind.tasks * (behind.smallest_pct / wanted) ** 2)
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


def tokens_per_trial(row: Row) -> float:
    """Return all tokens of a pair, of all roles and kinds, per trial."""
    return float(sum(row[name] for name in TOKENS) / max(1, row["trials"]))


def ranking_rows(tables: Tables) -> list[Row]:
    """Return a row of the ranked chart for each pair: rate, interval, standing against the best, price."""
    pairs = ordered(tables.pairs)
    money = in_dollars(pairs)
    ranking = tables.ranking
    against = {
        name: each
        for each in tables.comparisons
        for name in each.names
        if ranking.best and ranking.best[0] in each.names
    }
    rows = []
    for row in pairs:
        name = marked(row["pair"], row["mark"])
        tokens = tokens_per_trial(row)
        spent = row["cost_per_trial"] if money else tokens
        rows.append(
            {
                **row,
                "spent": spent if row["trials"] else None,
                "spent_text": dollars(row["cost_per_trial"]) if money else short_count(tokens),
                "standing": _standing(name, row, ranking, against.get(name)),
                "is_mock": row["mark"] == MOCK,
                "is_best": name in ranking.best and row["mark"] != MOCK,
            }
        )
    for key, share in (("spent", "spent_share"), ("wall_p50_s", "wall_share")):
        most = max((row[key] for row in rows if row[key]), default=0)
        for row in rows:
            row[share] = 100 * row[key] / most if row[key] and most else 0
    return rows


def _standing(name: str, row: Row, ranking: Ranking, each: Comparison | None) -> str:
    if not row["trials"]:
        return "not measured"
    if row["mark"] == MOCK:
        return ""
    if name in ranking.best:
        return (
            "tied for best"
            if len(ranking.best) > 1
            else "best"
            if ranking.worse and not ranking.close
            else "highest"
        )
    if each is None or each.difference_pct is None:
        return "no task in common"
    gap = f"{-abs(each.difference_pct):+.0f}".replace("-", "\N{MINUS SIGN}")
    where = f" on {counted(each.tasks, 'shared task')}" if each.left_out or each.changed else ""
    return f"{gap}{where}, {'established' if name in ranking.worse else 'could be chance'}"


def matrix(tables: Tables) -> dict[str, Any]:
    """Return the differences of all pairs with each other; row minus column, in points of solved tasks."""
    pairs = [row for row in ordered(tables.pairs) if row["trials"]]
    names = [marked(row["pair"], row["mark"]) for row in pairs]
    cells: dict[tuple[str, str], Row] = {}
    for number, each in enumerate(tables.comparisons):
        if each.difference_pct is None:
            continue
        for sign, key in ((-1, each.names), (1, each.names[::-1])):
            points = sign * each.difference_pct
            cells[key] = {
                "id": number,
                "mocks": MOCK in each.marks,
                "text": f"{points:+.0f}".replace("-", "\N{MINUS SIGN}") if round(points) else "0",
                "kind": ("better" if points > 0 else "worse") if is_established(each) else "open",
                "says": f"{key[0]} against {key[1]}: {points:+.1f} points, {plain_p(each.p_holm)}, "
                + ("established" if is_established(each) else "could be chance"),
            }
    return {
        "listed": sorted(
            [(*key, cell) for key, cell in cells.items() if names.index(key[0]) < names.index(key[1])],
            key=lambda line: (line[2]["mocks"], line[2]["kind"] == "open", *map(names.index, line[:2])),
        ),
        "heads": [row["pair"] for row in pairs],
        "rows": [
            (row["pair"], [cells.get((name, other)) for other in names])
            for row, name in zip(pairs, names, strict=True)
        ],
    }


def grid(rows: Sequence[Row], pairs: Sequence[Row], *, in_order: bool = False) -> dict[str, Any]:
    """Return tasks by pair: for each task its cells, and the share that pairs of models solved.

    Tasks that are solved most often come first, so that a column shows how far a pair gets; or all stay
    ``in_order``.
    """
    columns = [row["pair"] for row in ordered(pairs)]
    models = {row["pair"] for row in pairs if row["mark"] != MOCK} or set(columns)
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    difficulty: dict[str, str] = {}
    for row in rows:
        cells[row["task"], row["pair"]].append(row)
        difficulty[row["task"]] = row["difficulty"] or ""
    lines = []
    for task, hardness in difficulty.items():
        counted_in = [row for pair in models for row in cells.get((task, pair), ()) if row["kind"] == "model"]
        solved = sum(row["outcome"] == "solved" for row in counted_in)
        lines.append(
            {
                "task": task,
                "difficulty": hardness,
                "solved": solved,
                "of": len(counted_in),
                "pct": 100 * solved / len(counted_in) if counted_in else 0,
                "cells": [_cell(cells.get((task, pair), [])) for pair in columns],
            }
        )
    if not in_order:
        lines.sort(key=lambda line: (-line["pct"], line["task"]))
    never = sum(line["of"] and not line["solved"] for line in lines)
    always = sum(line["of"] and line["solved"] == line["of"] for line in lines)
    return {
        "pairs": columns,
        "rows": lines,
        "never": never,
        "always": always,
        "who": "model" if any(row["mark"] != MOCK for row in pairs) else "mock",
    }


def _cell(trials: list[Row]) -> Row | None:
    """Return a letter for each epoch, or a count where there are many; and which trial it leads to."""
    if not trials:
        return None
    trials = sorted(trials, key=itemgetter("epoch"))
    marks = [mark_of_trial(row) for row in trials]
    chosen = next((row for row in trials if row["outcome"] != "solved"), trials[0])
    cell: Row = {"trial": chosen["trial"], "marks": marks, "text": "", "family": ""}
    if len(trials) > FEW_EPOCHS:
        solved = sum(row["outcome"] == "solved" for row in trials)
        common = Counter(mark.family for mark in marks).most_common(1)[0][0]
        cell |= {"text": f"{solved}/{len(trials)}", "family": common, "marks": []}
    return cell


def outcome_bars(rows: Sequence[Row], pairs: Sequence[Row]) -> list[Row]:
    """Return for each pair the shares of its outcomes, in the order of ``MARKS``."""
    counts: dict[str, Counter[Mark]] = defaultdict(Counter)
    for row in rows:
        counts[row["pair"]][mark_of_trial(row)] += 1
    bars = []
    for row in ordered(pairs):
        of_pair = counts[row["pair"]]
        whole = sum(of_pair.values())
        parts = [(mark, of_pair[mark], 100 * of_pair[mark] / whole) for mark in MARKS if of_pair[mark]]
        bars.append(
            {**row, "parts": parts, "infra": of_pair.get(next(m for m in MARKS if m.key == INFRA), 0)}
        )
    return bars


def legend(rows: Sequence[Row]) -> list[Mark]:
    """Return the marks that occur, in order."""
    seen = {mark_of_trial(row) for row in rows}
    return [mark for mark in MARKS if mark in seen]


def role_shares(pairs: Sequence[Row]) -> list[Row]:
    """Return for each measured pair what each role used: dollars where something was paid, else tokens."""
    measured = [row for row in ordered(pairs) if row["trials"]]
    money = in_dollars(measured)
    found = []
    for row in measured:
        if money:
            values = [row[f"{role}_cost"] for role in ROLES]
        else:
            values = [sum(row[f"{role}_{kind}"] for kind in KINDS) for role in ROLES]
        per_trial = [None if value is None else value / row["trials"] for value in values]
        text = dollars if money else short_count
        found.append(
            {
                "name": marked(row["pair"], row["mark"]),
                "is_mock": row["mark"] == MOCK,
                "parts": [
                    {"role": role, "value": value or 0, "text": "unknown" if value is None else text(value)}
                    for role, value in zip(ROLES, per_trial, strict=True)
                ],
                "total": None if None in per_trial else sum(filter(None, per_trial)),
                "total_text": "unknown" if None in per_trial else text(sum(filter(None, per_trial))),
                "solved_text": dollars(row["cost_per_solved"]) if row["solved"] else "none solved",
            }
        )
    most = max((row["total"] for row in found if row["total"]), default=0)
    for row in found:
        for part in row["parts"]:
            part["share"] = 100 * part["value"] / most if most else 0
    return found


def pair_names(rows: Iterable[Row]) -> dict[str, str]:
    """Return pair -> its name for display."""
    backends: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        backends[row["pair"]].add(row["backend"])
    return {pair: marked(pair, mark_of(found)) for pair, found in backends.items()}
