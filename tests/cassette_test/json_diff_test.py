"""harness/cassette/json_diff.py: the first place where two bodies differ, in few words."""

import json

import pytest

from harness.cassette.json_diff import difference


def body(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.mark.parametrize(
    ("recorded", "now", "shown"),
    [
        ({"a": 1}, {"a": 2}, "$.a: recorded 1, now 2"),
        ({"a": 1}, {"a": True}, "$.a: recorded 1, now true"),
        ({"a": 1}, {"a": 1.0}, "$.a: recorded 1, now 1.0"),
        ({"a": "1"}, {"a": 1}, '$.a: recorded "1", now 1'),
        ({"a": None}, {"a": []}, "$.a: recorded null, now []"),
        ({"a": {"b": [0, {"c": "x"}]}}, {"a": {"b": [0, {"c": "y"}]}}, "$.a.b[1].c: recorded 'x', now 'y'"),
        ({"a": 1, "b": 2}, {"a": 1}, "$.b: recorded 2, now nothing"),
        ({"a": 1}, {"a": 1, "b": 2}, "$.b: recorded nothing, now 2"),
        ({"a": [1]}, {"a": [1, 2, 3]}, "$.a[1]: recorded nothing, now 2"),
        ({"a": [1, 2]}, {"a": [2]}, "$.a[0]: recorded 1, now 2"),
        ({"a": {}}, {"a": []}, "$.a: recorded {}, now []"),
        ([1], {"a": 1}, '$: recorded [1], now {"a": 1}'),
        (b"plain", b"plane", "$: recorded 'plain', now 'plane'"),
        (b"", b"x", "$: recorded '', now 'x'"),
        (b"", {"a": 1}, "$: recorded '', now '{\"a\": 1}'"),
        (b"\xff", b"\xfe\x00", "$: recorded "),
        ({"a": "same"}, {"a": "same but longer"}, "$.a: recorded 'same', now 'same but longer'"),
        ({"a": "one\ntwo"}, {"a": "one\ntwi"}, "$.a: recorded 'one\\ntwo', now 'one\\ntwi'"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_difference_is_one_path_and_both_values(recorded, now, shown):
    """The first place that differs is named with what stood there and what stands there now."""
    assert difference(body(recorded), body(now)).startswith(shown)


@pytest.mark.parametrize(
    ("recorded", "now"),
    [({"a": 1}, {"a": 1}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (b"x", b"x"), ([], [])],
)
def test_equal_values_have_no_difference(recorded, now):
    """Whatever the order of their keys."""
    assert difference(body(recorded), body(now)) == ""


@pytest.mark.parametrize("before", ["", "word " * 4000, "x" * 20_000])
@pytest.mark.parametrize("after", ["", " word" * 4000, "\n" * 20_000])
def test_a_difference_in_a_long_text_is_short_and_shows_both_words(before, after):
    """A changed word in a page of text is shown with a little of what is around it."""
    text = difference(body({"m": before + "careful" + after}), body({"m": before + "careless" + after}))
    assert "careful" in text
    assert "careless" in text
    assert len(text) < 500
    assert "\n" not in text


@pytest.mark.parametrize(
    ("recorded", "now"),
    [
        ({"a": list(range(10_000))}, {"a": {str(n): n for n in range(10_000)}}),
        ({"a": "x" * 100_000}, {"a": 5}),
        (b"x" * 100_000, b"y" * 100_000),
        ({"k" * 100_000: 1}, {"k" * 100_000: 2}),
        ({"a": 1}, {"a": 1, "k" * 100_000: "x" * 100_000}),
        ({"k" * 500: {"k" * 500: {"k" * 500: 1}}}, {"k" * 500: {"k" * 500: {"k" * 500: 2}}}),
    ],
    ids=["kinds", "text-number", "bytes", "below-a-long-key", "only-one-has-it", "below-long-keys"],
)
def test_a_difference_is_bounded(recorded, now):
    """However large what differs is, the message fits on a few lines of a terminal."""
    assert len(difference(body(recorded), body(now))) < 500
