"""Structured garbage for the loaders of cassettes, records and transcripts: a line each, never a traceback.

Hypothesis takes files as the harness writes them and replaces, removes and adds values anywhere in them. What
is still read has to be of use: all that is printed of it is printed here.
"""

import copy
import io
import json
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rows import a_row, a_talk, an_infra_row
from shelves import TALK, tape

from harness.cassette.audit.diff import compare, compare_facts
from harness.cassette.file import Cassette, digest_of, dumps, leaks, load
from harness.cassette.staleness import changes
from harness.errors import CassetteError, UsageError
from harness.results import aggregate
from harness.results.conversation import parts
from harness.results.dataframe import frame
from harness.results.exchanges import exchange_parts, facts
from harness.results.pricing import Prices
from harness.results.record import read_rows
from harness.results.run_folder import load_conversation
from harness.results.show import print_parts

SOON = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ODD = [
    *(None, True, 0, -1, 1.5, 1e308, 10**19, 10**400, float("nan"), float("inf")),
    *("", "x", "\x1b[2J", "\ud800", "a\nb", "2026-13-40", "../../x", "$same", "NaN"),
    *([], {}, [[]], [None], {"": None}, {"$same": 1}, {"$prefix": 10**9, "back": 1, "then": []}),
    *({"$lines": [1]}, {"$lines": ["a"], "b": 1}, {"$x": 1}, {"content-encoding": "gzip"}),
]
garbage = st.one_of(
    st.sampled_from(ODD),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=6,
    ),
)


def places(value, path=()):
    """All places of a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@st.composite
def spoiled(draw, whole, changes_at_most=3):
    """A JSON value with a few of its values replaced, removed, doubled, or put beside others."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, changes_at_most))):
        *above, last = draw(st.sampled_from([each for each in places(value) if each]))
        holder = value
        for key in above:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "replace":
                holder[last] = draw(garbage)
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = draw(garbage)
            case "add":
                holder.insert(last, draw(garbage))
        if not value:
            break
    return value


def raw(value):
    """The bytes of a file with this value, odd numbers and half surrogates as Python writes them."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def one_line(error):
    """What is told is one short line that a terminal can show."""
    text = str(error)
    assert text
    assert len(text) < 1000
    assert "\n" not in text
    assert "Traceback" not in text


def printed(displayed):
    """What a terminal gets of a conversation."""
    console = Console(file=io.StringIO(), width=80)
    print_parts(console, displayed)
    return console.file.getvalue()


def use(cassette, trial):
    """Do with a cassette all that is done with one that could be read, but play it."""
    path = Path("cassettes/p/t/1.json")
    leaks(cassette, path)
    digest_of(cassette)
    changes(cassette, trial)
    text = "\n".join(facts(cassette)) + printed(exchange_parts(cassette))
    for line in (*compare(cassette, cassette), *compare_facts(cassette, Cassette("t", "d", "p"))):
        text += line.text + "".join(line.details)
    assert not re.search(r"-\d[\d,]* tokens|\binf\b tokens|\bnan\b tokens", text)
    try:
        dumps(cassette)
    except (ValueError, RecursionError) as error:
        one_line(str(error).splitlines()[0])


@SOON
@given(data=st.data())
@pytest.mark.slow
def test_no_cassette_ends_a_command_with_a_traceback(data, trial, tmp_path, monkeypatch):
    """Any JSON in the place of any value of a cassette."""
    monkeypatch.setattr("harness.cassette.file.digest_of", lambda _: "")  # as if it were right
    whole = json.loads(dumps(tape(trial, *TALK, *TALK)))
    whole["digest"] = ""
    value = data.draw(spoiled(whole))
    path = tmp_path / "1.json"
    path.write_bytes(raw(value))
    try:
        cassette = load(path, "cassettes/p/t/1.json")
    except CassetteError as error:
        one_line(error)
    else:
        use(cassette, trial)


@SOON
@given(cut=st.integers(0, 4000), junk=st.binary(max_size=30))
def test_no_bytes_end_a_command_with_a_traceback(cut, junk, trial, tmp_path):
    """A file that was cut off, or overwritten somewhere."""
    whole = dumps(tape(trial, *TALK)).encode()
    path = tmp_path / "1.json"
    for content in (whole[:cut], whole[:cut] + junk + whole[cut + len(junk) :]):
        path.write_bytes(content)
        try:
            load(path, "cassettes/p/t/1.json")
        except CassetteError as error:
            one_line(error)


@settings(SOON, max_examples=40)  # tables take their time
@given(data=st.data())
def test_no_record_ends_a_report_with_a_traceback(data, tmp_path):
    """A bad row is told with its line; the tables of all others hold no infinite and no negative figure."""
    rows = [a_row(), a_row(task="u"), an_infra_row(task="v")]
    value = data.draw(spoiled(rows[0] if data.draw(st.booleans()) else rows[2]))
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join(raw(each) + b"\n" for each in (*rows, value)))
    broken = []
    read = list(read_rows(path, broken))
    assert len(read) + len(broken) == 4
    for problem in broken:
        assert problem.startswith(f"{path}:4: not a record")
        one_line(problem)
    if broken:
        return
    trials = aggregate.add_costs(frame(read), Prices(), date(2026, 11, 26))
    text = aggregate.to_csv(aggregate.rows_of(aggregate.summary(trials, "pair")))
    assert not re.search(r"(?<![\w.-])(-[\d.]+|-?inf|nan)(?![\w.-])", text.lower()), text


@SOON
@given(data=st.data())
def test_no_transcript_ends_a_command_with_a_traceback(data, tmp_path):
    """A conversation is displayed whole, or its file is named."""
    value = data.draw(spoiled(a_talk()))
    path = tmp_path / "transcripts" / "p" / "t" / "1.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw(value))
    try:
        conversation = load_conversation(tmp_path, a_row())
    except UsageError as error:
        one_line(error)
    else:
        printed(parts(conversation.transcript.events))
        assert conversation.transcript.wasted_calls >= 0


def test_the_files_themselves_are_read(trial, tmp_path):
    """What garbage is made from is right as it stands, so that garbage alone is refused."""
    path = tmp_path / "1.json"
    path.write_text(dumps(tape(trial, *TALK)), encoding="utf-8")
    use(load(path, "it"), trial)
    with pytest.raises(UsageError):
        load_conversation(tmp_path, a_row())
