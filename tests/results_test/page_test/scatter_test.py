"""harness/results/page/scatter.py: where dots and names stand."""

import pytest

from harness.results.page.scatter import Point, front, picture, scale_of


def points(*prices_and_rates):
    """A pair for each price and rate."""
    return [
        Point(f"pair-number-{n}", x, y, max(0, y - 9), min(100, y + 9))
        for n, (x, y) in enumerate(prices_and_rates)
    ]


def test_the_front_holds_those_that_none_beats_in_both():
    """Of equal prices the better one, of equal rates the cheaper one."""
    a, b, c, d, e = points((1, 10), (1, 20), (2, 20), (3, 50), (4, 40))
    assert front([e, d, c, b, a]) == [b, d]


def test_names_cover_neither_dots_nor_each_other():
    """Twenty pairs, many close together, on a wide and on a narrow picture; inside the picture."""
    many = points(*((1 + n % 4 * 0.4, 20 + 3 * n) for n in range(20)))
    for width, height in ((1100, 440), (360, 360)):
        made = picture(many, str, "US dollars", width, height)
        boxes = [(p.name_x, p.name_y - 11, p.name_x + 6.6 * len(p.name), p.name_y) for p in made.points]
        assert all(
            left >= 0 and right <= width and top >= 0 and low <= height for left, top, right, low in boxes
        )
        if width > 1000:
            for n, one in enumerate(boxes):
                for other in boxes[:n]:
                    across = min(one[2], other[2]) - max(one[0], other[0])
                    down = min(one[3], other[3]) - max(one[1], other[1])
                    assert across <= 0 or down <= 4, (one, other)


def test_names_cross_no_whisker_where_there_is_room():
    """Two pairs at nearly the same place: both names stand beside both whiskers."""
    near = [
        Point(f"{name} of a stand-in, with a long name", x, 7, 2, 21)
        for name, x in (("a", 11.4), ("b", 11.5))
    ]
    made = picture([*points((3, 3)), *near], str, "tokens", 1100, 440).points
    for name in made:
        for each in made:
            is_beside = name.name_x > each.x or name.name_x + 6.6 * len(name.name) < each.x
            assert is_beside or not each.high < name.name_y - 5 < each.low


@pytest.mark.parametrize(
    ("prices", "is_log"), [((1, 2, 19), False), ((0.001, 1), True), ((0, 1), False), ((0, 0), False)]
)
def test_the_axis_is_logarithmic_where_prices_lie_far_apart(prices, is_log):
    """From nothing otherwise; each price has its place, and there are a few round ticks in order."""
    scale = scale_of(prices)
    assert scale.is_log == is_log
    places = [scale.place(price) for price in prices]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= 1
    assert 2 <= len(scale.ticks(7)) <= 9
    assert scale.ticks(7) == sorted(scale.ticks(7))


def test_nothing_paid_stands_at_the_left_of_a_logarithmic_axis():
    """It has no logarithm, but a place."""
    scale = scale_of((0, 0.001, 1))
    assert scale.place(0) == 0
    assert scale.place(1) > scale.place(0.001)
    assert scale.place(0.001) > 0
