"""harness/results/show.py: a conversation for people, in which models may try anything with a terminal."""

import io
import re

import pytest
from rich.console import Console

from harness.agents.transcript import (
    Called,
    Fault,
    Remembered,
    Returned,
    Said,
    Spent,
    Tested,
    Transcript,
    Usage,
    Wrote,
)
from harness.results.conversation import part_of
from harness.results.show import print_parts, print_transcript
from harness.terminal import visible

ATTACKS = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "c1": "\x9b31m",
    "back": "rm -rf\x08\x08\x08\x08\x08\x08ls",
    "return": "real\rfake",
    "bell": "\x07",
    "nul": "\x00",
    "delete": "\x7f",
    "form": "\x0c\x0b",
    "bidi": "\u202egnp.exe\u202c",
    "isolate": "\u2066x\u2069",
    "nel": "a\x85b",
}
EVENTS = [
    lambda text: Said(1, "user", text),
    lambda text: Said(1, "orchestrator", text, thinking=True),
    lambda text: Said(1, "coder", text),
    lambda text: Called(1, "c", f"tool{text}", text),
    lambda text: Called(1, "c", "t", '{"spec": "' + text.encode("unicode_escape").decode() + '"}'),
    lambda text: Wrote(1, "coder", "add.py", f"x = '''{text}'''\n"),
    lambda text: Wrote(1, "tester", f"{text}.py", "x = 1\n"),
    lambda text: Returned(1, "c", True, text),
    lambda text: Returned(1, "c", False, text),
    lambda text: Tested(1, False, text),
    lambda text: Fault(1, text),
]
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def displayed(*events, terminal=False):
    """What a console gets."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=200, force_terminal=terminal, color_system="truecolor" if terminal else None
    )
    print_parts(console, map(part_of, events))
    return stream.getvalue()


@pytest.mark.parametrize("event", EVENTS)
def test_control_characters_of_a_model_are_made_visible(event):
    """No event lets through what moves a cursor, changes a colour or turns the direction of writing."""
    for name, attack in ATTACKS.items():
        assert UNSEEN.findall(displayed(event(attack))) == [], name


@pytest.mark.parametrize("event", EVENTS)
def test_a_coloured_terminal_gets_only_the_harness_own_colours(event):
    """In a terminal each escape is one that sets a style, none is the model's."""
    for name in ("colour", "clear", "title", "link", "c1"):
        text = displayed(event(ATTACKS[name]), terminal=True)
        assert "\x9b" not in text, name
        assert "\x07" not in text, name
        assert re.sub(r"\x1b\[[0-9;]*m", "", text).count("\x1b") == 0, name
        assert "\x1b[31mred" not in text, name


@pytest.mark.parametrize(
    "text", ["[red]x[/red]", "[/]", "[link=http://x]y[/link]", "a[0]", ":smile:", "[bold"]
)
def test_markup_is_shown_as_it_was_written(text):
    """What looks like markup, or like an emoji's name, is a model's text and stays it."""
    for event in EVENTS[:3] + EVENTS[7:]:
        assert text in displayed(event(text))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("plain é 漢 😀", True),
        ("two\nlines\tand a tab", True),
        ("\x1b[0m", False),
        ("\u202e", False),
        ("\r", False),
    ],
)
def test_ordinary_text_is_untouched(text, same):
    """Letters of all languages, line ends and tabs are no control characters."""
    assert (visible(text) == text) is same


def test_what_turns_the_direction_of_writing_is_made_visible():
    """Marks and overrides can make a line read as another one (Unicode TR 9, table 2.7)."""
    for mark in "\u200e\u200f\u061c\u202a\u202e\u2066\u2069":
        assert mark not in visible(f"a{mark}b"), ascii(mark)


def test_line_ends_of_other_systems_are_line_ends():
    """CRLF is a line end; a single CR, which overwrites the line, is shown."""
    assert visible("a\r\nb") == "a\nb"
    assert visible("a\rb") == "a\\x0db"


@pytest.mark.parametrize("event", [EVENTS[0], EVENTS[4], EVENTS[5]])
def test_a_broken_character_can_be_printed(event):
    """Half a surrogate pair, which JSON can carry, does not end the printing with an exception."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="utf-8") as stream:
        print_parts(Console(file=stream, width=80), [part_of(event("smile \ud83d end"))])
        stream.flush()
        assert b"end" in raw.getvalue()


def test_tokens_are_shown_with_their_role():
    """Usage is one dim line, with the cache where it was used."""
    assert "[coder (m): 10 tokens in, 5 out]" in displayed(Spent(1, "coder", "m", Usage(10, 0, 0, 5)))
    assert "cache 2 written 3 read" in displayed(Spent(1, "coder", "m", Usage(10, 2, 3, 5)))


def test_arguments_are_shown_one_by_one():
    """A JSON object is shown by its keys; anything else as the model wrote it."""
    assert "spec: Add." in displayed(Called(1, "c", "t", '{"spec": "Add.", "n": [1]}'))
    assert "n: [1]" in displayed(Called(1, "c", "t", '{"spec": "Add.", "n": [1]}'))
    for text in ("{broken", "[1, 2]", "5", "[" * 5000):
        assert text[:100] in displayed(Called(1, "c", "t", text))


def test_a_whole_conversation_is_shown_by_attempts():
    """Each attempt has its rule, and a limit is told at the end."""
    stream = io.StringIO()
    events = (Said(1, "user", "first"), Tested(1, True, ""), Said(2, "user", "second"))
    print_transcript(Console(file=stream, width=80), Transcript(events, "tool_call_limit"))
    text = stream.getvalue()
    places = [
        text.index(part) for part in ("attempt 1", "first", "generated tests pass", "attempt 2", "second")
    ]
    assert places == sorted(places)
    assert text.rstrip().endswith("stopped: tool call limit")


def test_what_is_said_again_and_again_is_shown_once():
    """A small model goes round in circles until a limit ends it; another call in between is another round."""
    call = Remembered(1, "c", "memory_replace", '{"label": "notes"}', ok=False, text="no such text")
    stream = io.StringIO()
    print_transcript(
        Console(file=stream, width=80), Transcript((call, call, call, Said(1, "user", "x"), call))
    )
    assert stream.getvalue().count("orchestrator calls memory_replace") == 2
    assert stream.getvalue().count("3 times in a row") == 1


def test_a_conversation_without_events_is_shown_as_nothing():
    """A trial that never began prints nothing."""
    stream = io.StringIO()
    print_transcript(Console(file=stream), Transcript(()))
    assert stream.getvalue() == ""
