"""Place pass rate against price for a picture; the template ``scatter.html.j2`` draws it as SVG.

Drawn here rather than by a chart library: the page has to read without JavaScript, print, follow light and
dark, and stay small, and this is a few dots, whiskers and names. Colours are the page's own variables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

LETTER = 7.3  # width of an average letter at 12 px, in bold type
LINE = 15  # height of a name
MANY_TIMES = 20  # dearest against cheapest, from which on the axis is logarithmic
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 26, 46  # margins, in pixels
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Point:
    """A pair: its price, and its pass rate with the interval, in percent."""

    name: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Drawn:
    """A point in pixels: dot, whisker, and where its name stands; ``leader`` is where a line to it ends."""

    name: str
    x: float
    y: float
    low: float
    high: float
    name_x: float
    name_y: float
    leader: tuple[float, float] | None
    on_front: bool


@dataclass(frozen=True)
class Picture:
    """A chart in pixels."""

    width: int
    height: int
    axis: str
    rates: list[tuple[float, str]]
    prices: list[tuple[float, str]]
    points: list[Drawn]
    front: str


def front(points: Iterable[Point]) -> list[Point]:
    """Return the Pareto front: points of which no other is at most as dear and at least as good."""
    best, kept = -math.inf, []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if point.y > best:
            best = point.y
            kept.append(point)
    return kept


def picture(
    points: Sequence[Point], number: Callable[[float], str], axis: str, width: int, height: int
) -> Picture:
    """Return where everything stands.

    Args:
        points: The pairs, at least one.
        number: Formats a price.
        axis: What the price is.
        width: In pixels.
        height: In pixels.
    """
    across, up = width - LEFT - RIGHT, height - TOP - BOTTOM
    scale = scale_of([point.x for point in points])
    highest = min(100, max(10, 10 * math.ceil(max(point.high for point in points) / 10)))

    def right(x: float) -> float:
        return LEFT + across * scale.place(x)

    def down(y: float) -> float:
        return TOP + up * (1 - y / highest)

    best = front(points)
    within = (LEFT + 4, TOP - 8, width - 4, TOP + up)
    taken = [(right(p.x) - 7, down(p.y) - 7, right(p.x) + 7, down(p.y) + 7) for p in points]
    taken += [(right(p.x) - 1, down(p.high), right(p.x) + 1, down(p.low)) for p in points]  # whiskers
    drawn = []
    for point in sorted(points, key=lambda p: p not in best):
        x, y = right(point.x), down(point.y)
        box = _free_place(point.name, x, y, within, taken)
        taken.append(box)
        near = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
        leader = near if math.dist(near, (x, y)) > LINE else None
        ends = (down(point.low), down(point.high))
        drawn.append(Drawn(point.name, x, y, *ends, box[0] + 2, box[3] - 4, leader, point in best))
    corners = [(right(best[0].x), down(best[0].y))]
    for point in best[1:]:
        corners += [(right(point.x), corners[-1][1]), (right(point.x), down(point.y))]
    step = 10 if highest <= 50 else 20
    return Picture(
        *(width, height, axis),
        rates=[(down(rate), str(rate)) for rate in range(0, highest + 1, step)],
        prices=[(right(value), number(value)) for value in scale.ticks(4 if width < 500 else 7)],
        points=drawn,
        front=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners) if len(best) > 1 else "",
    )


def _free_place(name: str, x: float, y: float, within: Box, taken: Sequence[Box]) -> Box:
    """Return where a name covers least of what is there, near its point rather than far."""
    wide = LETTER * len(name) + 4
    best, least = (x, y, x, y), math.inf
    for ring in range(10):
        for side, start in enumerate((x + 10, x - 10 - wide, x - wide / 2)):
            for shift in dict.fromkeys((ring * LINE, -ring * LINE)):
                if side == 2 and abs(shift) < LINE:
                    continue  # on the point itself
                left = min(max(start, within[0]), max(within[0], within[2] - wide))
                box = (left, y + shift - LINE / 2, left + wide, y + shift + LINE / 2)
                outside = max(0.0, within[1] - box[1]) + max(0.0, box[3] - within[3])
                cost = sum(_overlap(box, other) for other in taken) + 60 * outside + 2 * ring * ring + side
                if cost < least:
                    best, least = box, cost
    return best


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across * down if across > 0 and down > 0 else 0.0


@dataclass(frozen=True)
class Scale:
    """From prices to 0..1: from nothing, or logarithmic, where nothing stands at the left edge."""

    low: float
    high: float
    is_log: bool

    def place(self, value: float) -> float:
        """Return where a price stands."""
        if not self.is_log:
            return value / self.high
        if value <= 0:
            return 0.0
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self, wanted: int) -> list[float]:
        """Return about so many round prices."""
        if not self.is_log:
            step = _round_up(self.high / wanted)
            return [step * n for n in range(int(self.high / step + 1e-9) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**power for power in powers for factor in factors]
            fitting = [value for value in values if self.low <= value <= self.high]
            if len(fitting) <= wanted:
                break
        return fitting


def scale_of(values: Sequence[float]) -> Scale:
    """Return the scale for these prices; logarithmic where the dearest costs many times the cheapest."""
    paid = [value for value in values if value > 0]
    if paid and max(paid) / min(paid) > MANY_TIMES:
        margin = 3 if len(paid) < len(values) else 1.6
        return Scale(min(paid) / margin, max(paid) * 1.6, is_log=True)
    return Scale(0, 1.12 * max(paid, default=1), is_log=False)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value * (1 - 1e-9))
