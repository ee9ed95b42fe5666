"""Draw pass rate against cost as an SVG picture with matplotlib, which is imported here only.

Its colours are those of the page: each is drawn in a colour that stands for a CSS variable.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from harness.results.columns import TOKENS, marked
from harness.results.tables import Row

VARIABLES = {"#010203": "var(--ink)", "#040506": "var(--line)", "#070809": "var(--point)"}
INK, LINE, POINT = VARIABLES


@dataclass(frozen=True)
class Figure:
    """A picture. ``svg`` is empty where there is nothing to draw.

    Attributes:
        axis: What the rate stands against, in words.
        marks: Number in the picture -> pair.
    """

    axis: str
    svg: str
    marks: tuple[tuple[int, str], ...]


def rate_against_cost(pairs: list[Row]) -> Figure:
    """Draw each pair's pass rate with its interval, against dollars a trial.

    Where a pair's cost is unknown, or nothing cost anything, tokens a trial take the place of dollars.
    """
    measured = [row for row in pairs if row["trials"]]
    in_dollars = all(row["cost"] is not None for row in measured) and any(row["cost"] for row in measured)
    axis = "cost per trial" if in_dollars else "tokens per trial"
    marks = tuple((number, marked(row["pair"], row["mark"])) for number, row in enumerate(measured, start=1))
    across = [
        row["cost_per_trial"] if in_dollars else sum(row[name] for name in TOKENS) / row["trials"]
        for row in measured
    ]
    unit = "US dollars" if in_dollars else "tokens"
    return Figure(axis, _draw(measured, across, unit) if measured else "", marks)


def _draw(pairs: list[Row], across: list[float], unit: str) -> str:
    """Return the drawing itself, with the page's colours."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "harness",
        "font.family": "sans-serif",
        "font.size": 11,
    }
    with mpl.rc_context(style):
        canvas = Canvas(figsize=(8, 4), layout="constrained")
        axes = canvas.add_subplot()
        rates = [row["solved_pct"] for row in pairs]
        low = [row["solved_pct"] - row["solved_low_pct"] for row in pairs]
        high = [row["solved_high_pct"] - row["solved_pct"] for row in pairs]
        axes.errorbar(across, rates, yerr=(low, high), fmt="o", color=POINT, capsize=4, markersize=7)
        for number, place in enumerate(zip(across, rates, strict=True), start=1):
            axes.annotate(str(number), place, (9, 5), textcoords="offset points", color=INK, weight="bold")
        axes.set(xlabel=f"{unit} per trial", ylabel="trials solved, %", ylim=(-4, 104))
        axes.set_xlim(left=-0.03 * max(across, default=0) or -1)
        axes.grid(color=LINE, linewidth=0.6)
        axes.tick_params(colors=INK)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        axes.spines[:].set_color(LINE)
        text = io.StringIO()
        plain = {"Date": None, "Creator": None, "Format": None, "Type": None}
        canvas.savefig(text, format="svg", transparent=True, metadata=plain)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, variable)
    # For those who do not see it.
    name = 'role="img" aria-label="Pass rate of each pair; the table below has the figures"'
    return svg.replace("<svg ", f"<svg {name} ", 1)
