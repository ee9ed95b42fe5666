"""harness/cassette/file.py: the file of a trial's exchanges, exact, small and reviewable."""

import difflib
import json
import os
import stat
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from harness.cassette import file
from harness.cassette.encoding import encode
from harness.cassette.exchange import Exchange
from harness.cassette.file import MAX_BYTES, Cassette, dumps, load, save
from harness.errors import CassetteError, EditedCassette, MissingCassette, StaleCassette
from harness.files import write_whole

URL = "http://letta/v1/agents/"
LONG = "a text that is long enough to be worth sharing between two requests, " * 3
KEY = "hunter2-hunter2-hunter2"


def sent(value):
    """A JSON body as an SDK writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def an_exchange(request=b"{}", response=b"{}", url=URL, **changes):
    fields = {
        "method": "POST",
        "url": url,
        "request_headers": {"anthropic-version": "2023-06-01"},
        "request_body": request,
        "status": 200,
        "response_headers": {"content-type": "application/json"},
        "response_body": response,
    }
    return Exchange(**{**fields, **changes})


def a_cassette(*exchanges, **changes):
    fields = {"trial": "p/t/1", "task": "d1", "prompts": "d2", "recorded": {"at": "2026-11-22"}}
    return Cassette(**{**fields, "exchanges": exchanges, **changes})


@pytest.fixture
def round_trip(tmp_path):
    """Save and load."""

    def trip(*exchanges):
        path = tmp_path / "c.json"
        save(a_cassette(*exchanges), path, "c.json")
        return load(path, "c.json", record_with="RECORD").exchanges

    return trip


# --- round trip -------------------------------------------------------------------------------------

VALUES = [
    {},
    [],
    {"a": {}},
    [[], {}, ""],
    {"a": None, "b": True, "c": False, "d": 0, "e": 1.5, "f": -0.0, "g": 1e300},
    {"n": 123456789012345678901234567890},
    {"text": "é 漢 😀 \u2028 \x7f \u0000"},
    {"text": "\ud800 lone \udfff"},
    {"a": "one\ntwo\r\nthree\n", "b": "\n", "c": "\n\n", "d": "ends\n"},
    {"": 1, " ": 2, "a.b": 3},
    {"$same": 1},
    {"$prefix": 1, "back": 1, "then": []},
    {"$lines": ["a"]},
    {"$": 1, "$$": 2, "$$$same": 3, "$x": 4},
    {"a": {"$same": 1}},
    {"a": {"$lines": ["x"]}},
    {"a": {"$$lines": ["x"]}},
    {"a": [{"$prefix": 3, "back": 1, "then": ["y"]}, {"$same": 2}]},
    {"a": {"$same": LONG}},
    {"a": [LONG, LONG], "b": [LONG, LONG]},
    {"$a": LONG, "$$a": LONG + "!"},
    {"messages": [{"role": "user", "content": LONG + "\n" + LONG}] * 3},
    ["a list", "of\nlines", {"$same": 1}],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:40])
def test_a_json_body_comes_back_as_it_was_sent(round_trip, value):
    """Whatever a body holds, the same bytes are played that the SDK sent, also when it is repeated."""
    exchanges = [an_exchange(sent(value), sent(value)) for _ in range(3)]
    assert round_trip(*exchanges) == tuple(exchanges)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"plain",
        b"a\nb\n",
        b"a\r\nb\r\n",
        b"\n",
        b'"a json text"',
        b"12",
        b"null",
        b"{",
        b"[1, 2",
        b"{not json}",
        b' {"a": 1}',
        b"event: x\ndata: {}\n\nevent: y\ndata: [DONE]\n\n",
        "é 漢".encode(),
        b"\xff\xfe\x00binary",
        bytes(range(256)),
        b"\xed\xa0\x80",
        b"\x1f\x8b\x08\x00gzip",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100 + b"]" * 100,
        b"[" * 900 + b"]" * 900,
        b"[" * 5000 + b"]" * 5000,
    ],
    ids=lambda raw: f"{raw[:24]!a}-{len(raw)}",
)
def test_any_other_body_comes_back_byte_by_byte(round_trip, raw):
    """What is no JSON object or list is kept exactly, text or binary, sent or received."""
    assert round_trip(an_exchange(raw, raw)) == (an_exchange(raw, raw),)


def test_numbers_that_json_does_not_know_survive(round_trip):
    """Python's own spelling of odd numbers reads back as it was."""
    raw = b'{"a":NaN,"b":Infinity,"c":-Infinity}'
    assert round_trip(an_exchange(raw, raw))[0].response_body == raw


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, LONG], [True, LONG]),
        ([1, LONG], [1.0, LONG]),
        ([0, LONG], [False, LONG]),
        ({"temperature": 1, "text": LONG}, {"temperature": 1.0, "text": LONG}),
        ([[1], LONG, "a"], [[True], LONG, "b"]),
        ({"a": -0.0, "text": LONG}, {"a": 0.0, "text": LONG}),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_numbers_that_are_equal_in_python_stay_what_they_were(round_trip, first, second):
    """1, 1.0 and true are one value to Python's == and three to a server."""
    exchanges = [an_exchange(sent({"k": first})), an_exchange(sent({"k": second}))]
    assert [each.request_body for each in round_trip(*exchanges)] == [each.request_body for each in exchanges]


def test_all_parts_of_an_exchange_survive(round_trip):
    """Method, URL, status and headers are kept with the bodies."""
    exchanges = (
        an_exchange(b"", b"", method="DELETE", url=URL + "x?a=1&b=%2F", status=204, request_headers={}),
        an_exchange(b"{}", b'{"error":"no"}', status=400, response_headers={}),
    )
    assert round_trip(*exchanges) == exchanges


def test_what_was_recorded_survives(tmp_path):
    """The facts that a replay cannot measure are read back as they were."""
    kept = a_cassette(recorded={"at": "2026-01-02", "wall_s": 1.5, "versions": {"letta": "0.16.8"}})
    save(kept, tmp_path / "c.json", "c.json")
    assert load(tmp_path / "c.json", "c.json", record_with="x") == kept


# --- layout -----------------------------------------------------------------------------------------


def a_conversation(turns, system):
    """An agent loop that sends everything again and again, as the Messages API wants it."""
    messages, exchanges = [], []
    for turn in range(turns):
        question = {"role": "user", "content": f"Turn {turn}:\n" + f"line {turn} of a question\n" * 20}
        answer = {"role": "assistant", "content": f"Answer {turn}:\n" + f"line {turn} of an answer\n" * 20}
        messages = [*messages, question]
        body = {"model": "m", "system": system, "tools": [{"name": "t", "text": LONG}], "messages": messages}
        exchanges.append(an_exchange(sent(body), sent({"content": [answer]}), "http://anthropic/v1/messages"))
        messages = [*messages, answer]
    return exchanges


SYSTEM = "You are a careful programmer.\n" + "Follow every rule to the letter.\n" * 40


def test_a_long_conversation_is_stored_once(round_trip):
    """60 turns that send all that went before take a small part of their size, and read back exactly."""
    exchanges = a_conversation(60, SYSTEM)
    text = dumps(a_cassette(*exchanges))
    whole = sum(len(each.request_body) + len(each.response_body) for each in exchanges)
    assert len(text) < 250_000
    assert len(text) < whole / 10
    assert round_trip(*exchanges) == tuple(exchanges)


def test_a_changed_word_is_a_changed_line():
    """One word of the system prompt of 60 turns shows as one line out, one in, besides the digest."""
    before = dumps(a_cassette(*a_conversation(60, SYSTEM)))
    after = dumps(a_cassette(*a_conversation(60, SYSTEM.replace("careful", "careless"))))
    changed = [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and '"digest"' not in line
    ]
    assert len(changed) == 2


def test_alternating_prompts_refer_back_to_their_own():
    """Coder and tester take turns at one address: each finds its own earlier prompt."""
    systems = {"coder": "CODER\n" + LONG, "tester": "TESTER\n" + LONG}
    exchanges = [
        an_exchange(sent({"system": systems[who]})) for who in ["coder", "tester", "coder", "tester"]
    ]
    rows = json.loads(dumps(a_cassette(*exchanges)))["exchanges"]
    assert [row["request"]["json"]["system"] for row in rows[2:]] == [{"$same": 2}, {"$same": 2}]


def test_a_list_that_goes_on_refers_to_its_beginning():
    """A continued list holds how many items it shares, with which request, and what is new."""
    first = [{"content": LONG}, {"content": LONG + "2"}]
    exchanges = [
        an_exchange(sent({"messages": first})),
        an_exchange(sent({"messages": [*first, {"content": "new"}]})),
    ]
    rows = json.loads(dumps(a_cassette(*exchanges)))["exchanges"]
    assert rows[1]["request"]["json"]["messages"] == {"$prefix": 2, "back": 1, "then": [{"content": "new"}]}


def test_requests_to_other_addresses_share_nothing():
    """A reference never crosses from one address to another, so each part of a file reads by itself."""
    exchanges = [an_exchange(sent({"a": LONG})), an_exchange(sent({"a": LONG}), url=URL + "other")]
    rows = json.loads(dumps(a_cassette(*exchanges)))["exchanges"]
    assert rows[1]["request"]["json"]["a"] == LONG


@pytest.mark.parametrize("seed", range(20))
def test_any_mix_of_requests_reads_back_exactly(round_trip, seed):
    """Values that come, go, grow and shrink over many requests are all restored."""
    import random

    dice = random.Random(seed)
    texts = [LONG + str(n) for n in range(3)] + ["short", "two\nlines", ""]

    def value(depth=0):
        kind = dice.randrange(6 if depth < 3 else 3)
        if kind < 3:
            return dice.choice([*texts, 7, 2.5, True, None, False])
        if kind < 5:
            return [value(depth + 1) for _ in range(dice.randrange(5))]
        return {dice.choice(["a", "$same", "$$x", "$lines", "b"]): value(depth + 1) for _ in range(3)}

    exchanges = [
        an_exchange(
            sent({k: value() for k in dice.sample(["a", "b", "$c", "$same"], 3)}), url=URL + dice.choice("xy")
        )
        for _ in range(15)
    ]
    got = [each.request_body for each in round_trip(*exchanges)]
    assert got == [each.request_body for each in exchanges]


# --- what an answer repeats ---------------------------------------------------------------------------


def folded(*exchanges):
    return [row["response"].get("json") for row in encode(exchanges)]


def test_what_an_answer_repeats_is_stored_once():
    """What it was sent, what it says in two places and what it said before, whole or in part."""
    block = {"label": "role", "value": LONG}
    first = an_exchange(sent({"system": LONG}), sent({"system": LONG, "memory": {"blocks": [block]}}))
    then = an_exchange(sent({}), sent({"blocks": [block], "again": [block], "new": LONG + "!"}))
    assert folded(first, then) == [
        {
            "system": at("request.system"),
            "memory": {"blocks": [{"label": "role", "value": at("request.system")}]},
        },
        {
            "blocks": at("response.memory.blocks", 1),
            "again": at("response.memory.blocks", 1),
            "new": LONG + "!",
        },
    ]


def test_answers_refer_to_no_other_address():
    """Each part of a file reads by itself."""
    answer = sent({"a": LONG})
    assert folded(an_exchange(response=answer), an_exchange(response=answer, url=URL + "x"))[1] == {"a": LONG}


@pytest.mark.parametrize(
    "value",
    [
        {"secrets": [{"key": "K", "value": "<secret>", "more": LONG}]},
        {"api_key": {"a": LONG}},
        {"a b": LONG},
        {"a.b": LONG},
        {"$a": LONG},
        {"0": LONG},
        {"a": ["short"] * 3},
    ],
    ids=lambda value: str(value)[:12],
)
def test_some_values_stay_where_they_are(value):
    """Under secret keys, and where a place could not be told, or would save nothing."""
    exchanges = [an_exchange(response=sent({"x": 1, **value})), an_exchange(response=sent({"y": 2, **value}))]
    assert "'at'" not in str(folded(*exchanges)[1])
    assert file.parse(dumps(a_cassette(*exchanges))).exchanges == tuple(exchanges)


@pytest.mark.parametrize("seed", range(20))
def test_any_mix_of_answers_reads_back_exactly(seed):
    """Byte by byte, whatever stands in what: numbers that Python holds for equal are told apart."""
    import random

    dice = random.Random(seed)
    texts = [LONG + str(n) for n in range(2)] + ["short", LONG + "\nlines", ""]

    def value(depth=0):
        kind = dice.randrange(7 if depth < 4 else 3)
        if kind < 3:
            return dice.choice([*texts, 1, 1.0, True, None, 0, False])
        if kind < 5:
            return [value(depth + 1) for _ in range(dice.randrange(6))]
        names = ["a", "b", "$same", "at", "$lines", "token", "0", "x.y"]
        return {name: value(depth + 1) for name in dice.sample(names, 3)}

    exchanges = [
        an_exchange(sent(value()), sent(value()), url=URL + dice.choice("xy"), status=dice.choice([200, 404]))
        for _ in range(15)
    ]
    assert file.parse(dumps(a_cassette(*exchanges))).exchanges == tuple(exchanges)


# --- ids and dates ----------------------------------------------------------------------------------


def a_letta_trial(agent, message, otid, run, date):
    """The exchanges of a trial with the ids and dates that a server made up."""
    agent, message, run = f"agent-{agent}", f"message-{message}", f"run-{run}"
    answer = {
        "messages": [{"id": message, "otid": otid, "date": date, "run_id": run, "content": f"I am {agent}."}]
    }
    return (
        an_exchange(sent({"name": "x"}), sent({"id": agent, "created_at": date, "updated_at": None})),
        an_exchange(sent({"otid": otid}), sent(answer), f"{URL}{agent}/messages"),
        an_exchange(b"", sent([{"deleted": agent}]), f"{URL}{agent}", method="DELETE"),
    )


def ids(seed):
    import random

    dice = random.Random(seed)
    return [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(4)]


def test_two_recordings_that_differ_in_ids_and_dates_are_one_text():
    """A new recording of an unchanged trial is an empty diff."""
    one = dumps(a_cassette(*a_letta_trial(*ids(1), "2026-01-01T00:00:00+00:00")))
    other = dumps(a_cassette(*a_letta_trial(*ids(2), "2027-12-31 23:59:59.123456Z")))
    assert one == other


def test_an_id_has_one_number_wherever_it_stands(round_trip):
    """URL, request and answer agree on an id, so a replay asks for what was recorded."""
    agent = ids(3)[0]
    later = an_exchange(
        sent({"agent": f"agent-{agent}"}), sent({"id": f"agent-{agent}"}), f"{URL}agent-{agent}"
    )
    (got,) = round_trip(later)
    name = got.url.rpartition("/")[2]
    assert name == "agent-00000000-0000-4000-8000-000000000000"
    assert json.loads(got.request_body) == {"agent": name}
    assert json.loads(got.response_body) == {"id": name}


@pytest.mark.parametrize("text", ['data: {{"id":"{}"}}\n\n', "{}", '"{}"'])
def test_an_id_in_a_body_that_is_no_json_object_has_the_same_number(round_trip, text):
    """A streamed answer names an id that a later URL asks for: both are numbered, or the replay misses."""
    agent = f"agent-{ids(3)[0]}"
    got = round_trip(an_exchange(b"{}", text.format(agent).encode()), an_exchange(url=URL + agent))
    assert got[0].response_body.decode() == text.format(got[1].url.rpartition("/")[2])


def test_ids_are_numbered_by_first_use_and_stay_apart(round_trip):
    """Different ids stay different, in the order in which they appear."""
    one, two = ids(4)[:2]
    got = round_trip(an_exchange(b"{}", sent({"ids": [f"run-{two}", f"step-{one}", f"run-{two}"]})))
    assert [text[-1] for text in json.loads(got[0].response_body)["ids"]] == ["0", "1", "0"]


@pytest.mark.parametrize(
    "value",
    [
        {"content": "On 2026-01-01T00:00:00Z it rained"},
        {"date": "next tuesday"},
        {"content": "8c5a3f0e-1111-4222-8333-444455556666"},
        {"otid": "not an id"},
        {"date": 5},
        {"content": "agentic-8c5a3f0e-1111-4222-8333-444455556666"},
    ],
)
def test_what_is_no_id_and_no_date_of_the_server_is_kept(round_trip, value):
    """The words of a model are not rewritten."""
    assert json.loads(round_trip(an_exchange(sent(value), sent(value)))[0].response_body) == value


@pytest.mark.parametrize("url", [URL, "http://anthropic/v1/messages"])
def test_what_only_looks_like_an_id_of_the_server_is_kept(round_trip, url):
    """A user's id in a task or in a model's code is no id that Letta gave; one that it gave is, wherever."""
    own, agent = (f"{kind}-{each}" for kind, each in zip(("user", "agent"), ids(5), strict=False))
    asked = {"content": f"The owner is {own}, and you are {agent}."}
    said = {"text": f"# {own}\nOWNER = '{own}'  # told by {agent}"}
    made, got = round_trip(an_exchange(b"{}", sent({"id": agent})), an_exchange(sent(asked), sent(said), url))
    given = json.loads(made.response_body)["id"]
    assert given != agent
    assert json.loads(got.request_body) == {"content": f"The owner is {own}, and you are {given}."}
    assert json.loads(got.response_body) == {"text": f"# {own}\nOWNER = '{own}'  # told by {given}"}


# --- files that are no cassettes --------------------------------------------------------------------


def a_file(*rows, **changes):
    return {
        "format": 1,
        "trial": "p/t/1",
        "task": "t",
        "prompts": "p",
        "recorded": {"at": "2026-11-22"},
        "exchanges": list(rows),
        **changes,
    }


def a_row(request=None, response=None):
    return {
        "request": {"method": "POST", "url": URL, **(request or {})},
        "response": {"status": 200, **(response or {})},
    }


def refused(tmp_path, content):
    """The error that loading a content gives."""
    path = tmp_path / "c.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(CassetteError) as caught:
        load(path, "cassettes/c.json", record_with="RECORD-WITH")
    assert "cassettes/c.json" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
    assert "its digest is gone" not in str(caught.value)  # it is refused for what is wrong with it
    return caught.value


def test_a_missing_cassette_tells_how_to_record_it(tmp_path):
    """The message holds the file and the exact command."""
    with pytest.raises(MissingCassette) as caught:
        load(tmp_path / "none.json", "cassettes/none.json", record_with="pytest x --record=once")
    assert str(caught.value) == "nothing recorded at cassettes/none.json -> record it: pytest x --record=once"
    assert caught.value.outcome == "missing_cassette"


@pytest.mark.parametrize("version", [0, 2, "1", None, [], "9" * 400])
def test_another_format_is_stale(tmp_path, version):
    """A file of an older or newer harness is named as such, with the command that replaces it."""
    error = refused(tmp_path, a_file(format=version))
    assert type(error) is StaleCassette
    assert "this harness reads format 1" in error.message
    assert "RECORD-WITH" in error.remedy


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"5",
        b"{}",
        b"\xff\xfe\x00\x01",
        b"\x00" * 100,
        b"\x1f\x8b\x08binary",
        dumps(a_cassette(an_exchange(sent({"a": LONG})))).encode()[:-40],
        b"[" * 200_000,
        b'{"exchanges":' * 100_000,
        b'{"format": 1, "exchanges": [], "trial": ' + b"9" * 5000 + b"}",
        b"version: 1\ninteractions: []\n",
    ],
    ids=lambda raw: ascii(raw[:20]),
)
def test_a_file_that_is_no_cassette_is_an_error_of_the_harness(tmp_path, content):
    """Empty, cut off, binary, another format, nested beyond reason: one error, one line, one remedy."""
    assert "RECORD-WITH" in refused(tmp_path, content).remedy


ODD_JSON = {
    "key-twice": b'{"format": 1, "format": 1, "trial": "t"}',
    "key-twice-deep": json.dumps(a_file(a_row(response={"json": {"b": 1, "c": 2}})))
    .encode()
    .replace(b'"c"', b'"b"'),
    "nan": json.dumps(a_file(recorded={"a": float("nan")})).encode(),
    "infinity": json.dumps(a_file(recorded={"a": float("-inf")})).encode(),
    "infinite": json.dumps(a_file(recorded={"a": 57})).encode().replace(b"57", b"1e999"),
    "utf-16": json.dumps(a_file(a_row())).encode("utf-16"),
    "not-utf-8": json.dumps(a_file(a_row())).encode().replace(b"POST", b"P\xffST"),
    "nested": json.dumps(a_file(a_row(response={"json": json.loads("[" * 300 + "]" * 300)}))).encode(),
    "more-after-it": json.dumps(a_file(a_row())).encode() + b"{}",
}


@pytest.mark.parametrize("name", ODD_JSON)
def test_what_only_some_parsers_read_is_refused(tmp_path, name):
    """A key that stands twice, a number that is none, another encoding: no reader may see another file."""
    refused(tmp_path, ODD_JSON[name])


@pytest.mark.parametrize("trap", ["pipe", "device", "link-to-a-device", "socket"])
def test_what_is_no_file_is_not_read(tmp_path, trap):
    """A pipe with nobody at its other end would block for ever, a device never end: one line each."""
    path = tmp_path / "c.json"
    if trap == "pipe":
        os.mkfifo(path)
    elif trap == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif trap == "link-to-a-device":
        path.symlink_to("/dev/zero")
    else:
        path = Path("/dev/zero")
    with pytest.raises(CassetteError, match=r"cassettes/c\.json: cannot be read: ") as caught:
        load(path, "cassettes/c.json", record_with="RECORD")
    assert "RECORD" in caught.value.remedy


BOMB = """
import json, resource, sys
from pathlib import Path
from harness.cassette.file import load
from harness.errors import CassetteError
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
try:
    load(Path(sys.argv[1]), "c.json")
except CassetteError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("first", "delta"),
    [
        ("x" * 5_000_000, {"$same": 1}),
        (["x" * 100] * 50_000, {"$prefix": 50_000, "back": 1, "then": []}),
    ],
    ids=["same", "prefix"],
)
def test_a_small_file_cannot_unfold_into_a_large_one(tmp_path, first, delta):
    """References to one long text, thousands of times, end at a bound, within 1.5 GB of address space."""
    path = tmp_path / "c.json"
    rows = [a_row({"json": {"a": first}}), *[a_row({"json": {"a": delta}})] * 9_000]
    path.write_text(json.dumps(a_file(*rows)), encoding="utf-8")
    assert path.stat().st_size < MAX_BYTES
    done = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    assert "unfold to over" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("width", [1, 30])
def test_an_answer_cannot_unfold_into_a_large_one(tmp_path, width):
    """Nor do places in answers: one long text again and again, and answers that each hold the last twice."""
    path = tmp_path / "c.json"
    many = [an_answer({"a": at("response.a", 1), "b": [at("response.a", 1)] * width})] * 3_000
    path.write_text(json.dumps(a_file(an_answer({"a": ["x" * 4_000_000]}), *many)), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    assert "unfold to over" in done.stdout
    twice = [an_answer({"a": [at("response.a", 1), at("response.a", 1)]})] * 60
    path.write_text(json.dumps(a_file(an_answer({"a": ["x" * 100]}), *twice)), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    assert "unfold to over" in done.stdout


def test_many_small_values_do_not_come_out_of_few(tmp_path):
    """A value takes fifty times the memory of its text: what references stand for is counted, too."""
    said = refused(tmp_path, a_file(an_answer({"w": [[]] * 300_000, "v": [at("response.w")] * 8}))).message
    assert "it holds more than 1000000 values" in said


def test_a_deep_answer_takes_no_more_memory_than_a_flat_one():
    """Of what may be referred to, no copy is kept."""
    code = (
        "import resource\nfrom harness.cassette.encoding import encode\n"
        "from harness.cassette.exchange import Exchange\n"
        "body = b'[' * 90 + b'\"' + b'x' * 10_000_000 + b'\"' + b']' * 90\n"
        "encode([Exchange('POST', 'http://letta/', {}, b'{}', 200, {}, body)])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500_000  # kB; with copies, 900


def test_damage_is_told_in_plain_words(tmp_path):
    """The message names the exchange and what is wrong with it, not an exception of Python."""
    said = refused(tmp_path, a_file(a_row(), a_row(response={"status": "ok"}))).message
    field = "$.exchanges[1].response.status: Input should be a valid integer"
    assert said == f"cassettes/c.json: not a whole cassette ({field})"
    said = refused(tmp_path, {"format": 1, "exchanges": []}).message
    assert said == "cassettes/c.json: not a whole cassette ($.trial: Field required)"


def test_a_newer_format_may_also_be_mended_by_a_newer_harness(tmp_path):
    """A file from the future is told from one of the past."""
    assert refused(tmp_path, a_file(format=2)).remedy.startswith("update the harness, or record it again")
    assert refused(tmp_path, a_file(format=0)).remedy.startswith("record it again")


# --- digests ----------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path):
    """A saved cassette: its path, and its content as JSON."""
    path = tmp_path / "c.json"
    kept = a_cassette(*a_conversation(3, SYSTEM), recorded={"at": "2026-01-02", "outcome": "solved"})
    save(kept, path, "c.json")
    return path, json.loads(path.read_bytes())


def edited(data, *keys, value):
    """The content with another value at a place."""
    *way, last = keys
    inner = data
    for key in way:
        inner = inner[key]
    inner[last] = value
    return data


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("exchanges", 1, "response", "json", "content", 0, "content"), "better"),
        (("exchanges", 0, "request", "json", "model"), "another"),
        (("exchanges", 0, "response", "status"), 201),
        (("exchanges", 0, "response", "headers"), {}),
        (("exchanges", 2, "request", "method"), "PUT"),
        (("exchanges",), []),
        (("recorded", "outcome"), "wrong"),
        (("task",), "another"),
        (("trial",), "p/t/2"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_an_edit_is_noticed(tmp_path, recorded, keys, value):
    """Whatever of a recording is changed by hand: its digest no longer fits."""
    error = refused(tmp_path, edited(recorded[1], *keys, value=value))
    assert type(error) is EditedCassette
    assert "edited after it was recorded" in error.message
    assert "RECORD-WITH" in error.remedy
    assert error.outcome == "stale_cassette"


def test_another_layout_of_the_file_is_no_edit(recorded):
    """A formatter may indent it otherwise: the digest is of the values."""
    path, data = recorded
    kept = load(path, "c")
    path.write_text(json.dumps(data, indent=4), encoding="utf-8")
    assert load(path, "c") == kept


def test_a_cassette_without_its_digest_is_refused(recorded):
    """Else whoever takes that line away could change all others."""
    path, data = recorded
    del data["digest"]
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(EditedCassette, match="its digest is gone"):
        load(path, "c")


@pytest.mark.slow
def test_what_could_not_be_read_back_is_not_written(tmp_path):
    """A recording beyond the bounds is refused when it is made, with what to do, not when it is played."""
    body = sent({"a": "x" * MAX_BYTES})
    with pytest.raises(CassetteError, match="not written: larger than") as caught:
        save(a_cassette(an_exchange(body)), tmp_path / "c.json", "c.json")
    assert caught.value.remedy == "lower the task's limits"
    with pytest.raises(CassetteError, match=r"not written: \$\.exchanges\[0\]\.response\.status: "):
        save(a_cassette(an_exchange(status=999)), tmp_path / "c.json", "c.json")
    assert os.listdir(tmp_path) == []


def test_a_file_is_strict_json(tmp_path):
    """Bodies with numbers that JSON does not know are kept as text: every parser reads the file."""
    path = tmp_path / "c.json"
    save(a_cassette(an_exchange(b'{"a":NaN}', b'[1e999,{"b":-Infinity}]')), path, "c")
    json.loads(path.read_bytes(), parse_constant=pytest.fail)
    assert load(path, "c").exchanges[0].request_body == b'{"a":NaN}'


# --- damaged structures -----------------------------------------------------------------------------


def an_answer(value):
    return a_row(response={"json": value})


def at(place, back=0):
    return {"$same": back, "at": place}


HOSTILE = {
    "same-too-far": a_file(a_row({"json": {"a": {"$same": 99}}})),
    "same-at-first": a_file(a_row({"json": {"a": {"$same": 1}}})),
    "same-zero": a_file(a_row({"json": {"a": "x"}}), a_row({"json": {"a": {"$same": 0}}})),
    "same-negative": a_file(*[a_row({"json": {"a": "x"}})] * 3, a_row({"json": {"a": {"$same": -1}}})),
    "same-true": a_file(a_row({"json": {"a": "x"}}), a_row({"json": {"a": {"$same": True}}})),
    "same-text": a_file(a_row({"json": {"a": "x"}}), a_row({"json": {"a": {"$same": "1"}}})),
    "same-huge": a_file(a_row({"json": {"a": "x"}}), a_row({"json": {"a": {"$same": 10**30}}})),
    "same-other-key": a_file(a_row({"json": {"a": "x"}}), a_row({"json": {"b": {"$same": 1}}})),
    "prefix-too-far": a_file(a_row({"json": {"a": {"$prefix": 1, "back": 9, "then": []}}})),
    "prefix-negative": a_file(
        a_row({"json": {"a": [1, 2]}}), a_row({"json": {"a": {"$prefix": -1, "back": 1, "then": []}}})
    ),
    "prefix-beyond-its-list": a_file(
        a_row({"json": {"a": [1, 2]}}), a_row({"json": {"a": {"$prefix": 9, "back": 1, "then": []}}})
    ),
    "prefix-half": a_file(a_row({"json": {"a": [1]}}), a_row({"json": {"a": {"$prefix": 1}}})),
    "prefix-of-a-text": a_file(
        a_row({"json": {"a": "xy"}}), a_row({"json": {"a": {"$prefix": 1, "back": 1, "then": "z"}}})
    ),
    "prefix-of-a-number": a_file(
        a_row({"json": {"a": 5}}), a_row({"json": {"a": {"$prefix": 1, "back": 1, "then": []}}})
    ),
    "lines-number": a_file(a_row(response={"json": {"$lines": 5}})),
    "lines-of-numbers": a_file(a_row(response={"json": {"$lines": [1, 2]}})),
    "lines-text": a_file(a_row(response={"json": {"$lines": "abc"}})),
    "text-text": a_file(a_row(response={"text": "abc"})),
    "text-numbers": a_file(a_row(response={"text": [1]})),
    "text-surrogate": a_file(a_row(response={"text": ["\ud800"]})),
    "base64-broken": a_file(a_row(response={"base64": "a"})),
    "base64-number": a_file(a_row(response={"base64": 5})),
    "base64-not-ascii": a_file(a_row(response={"base64": "é"})),
    "status-missing": a_file({"request": {"method": "POST", "url": URL}, "response": {}}),
    "status-text": a_file(a_row(response={"status": "ok"})),
    "status-infinite": a_file(a_row(response={"status": float("inf")})),
    "status-nan": a_file(a_row(response={"status": float("nan")})),
    "status-none": a_file(a_row(response={"status": None})),
    "headers-list": a_file(a_row(response={"headers": ["a"]})),
    "headers-number": a_file(a_row({"headers": 5})),
    "headers-numbers": a_file(a_row(response={"headers": {"content-type": 5}})),
    "url-number": a_file(a_row({"url": 5})),
    "url-list": a_file(a_row({"url": ["x"], "json": {}})),
    "url-none": a_file(a_row({"url": None, "json": {}})),
    "url-broken": a_file(a_row({"url": "http://[bad"})),
    "row-text": a_file("row"),
    "row-none": a_file(None),
    "row-empty": a_file({}),
    "request-none": a_file({"request": None, "response": None}),
    "exchanges-none": a_file(exchanges=None),
    "exchanges-number": a_file(exchanges=5),
    "exchanges-mapping": a_file(exchanges={"a": 1}),
    "recorded-list": a_file(recorded=[]),
    "recorded-none": a_file(recorded=None),
    "recorded-text": a_file(recorded="x"),
    "trial-number": a_file(trial=5),
    "task-none": a_file(task=None),
    "no-trial": {"format": 1, "exchanges": []},
    "format-true": a_file(format=True),
    "format-float": a_file(format=1.0),
    "unknown-key": a_file(comment="x"),
    "unknown-key-in-a-row": a_file({**a_row(), "comment": "x"}),
    "unknown-key-in-a-request": a_file(a_row({"comment": "x"})),
    "unknown-key-in-a-response": a_file(a_row(response={"comment": "x"})),
    "unknown-reference": a_file(a_row(response={"json": {"$include": "/etc/passwd"}})),
    "unknown-reference-in-a-request": a_file(a_row({"json": {"$include": "/etc/passwd"}})),
    "lines-and-more": a_file(a_row(response={"json": {"a": {"$lines": [], "b": 1}}})),
    "same-and-more": a_file(a_row({"json": {"a": "x"}}), a_row({"json": {"a": {"$same": 1, "b": 1}}})),
    "prefix-and-more": a_file(
        a_row({"json": {"a": [1]}}), a_row({"json": {"a": {"$prefix": 1, "back": 1, "then": [], "b": 1}}})
    ),
    "at-nowhere": a_file(an_answer({"a": at("response.b")})),
    "at-too-far": a_file(an_answer({"a": at("response", 1)})),
    "at-negative": a_file(an_answer({"b": 1}), an_answer({"a": at("response", -1)})),
    "at-true": a_file(an_answer({"b": [1]}), an_answer({"a": at("response.b", True)})),
    "at-no-text": a_file(an_answer({"a": at(5)})),
    "at-nothing": a_file(an_answer({"a": {"$same": 0}})),
    "at-and-more": a_file(an_answer({"b": [1], "a": {**at("response.b"), "c": 1}})),
    "at-itself": a_file(an_answer({"a": at("response.a")})),
    "at-what-it-is-in": a_file(an_answer({"a": [at("response")]})),
    "at-what-it-is-in-twice": a_file(an_answer({"a": [*[at("response")] * 40]})),
    "at-later": a_file(an_answer([at("response.1"), ["x"]])),
    "at-a-letter": a_file(an_answer({"b": "xyz", "a": at("response.b.0")})),
    "at-minus-one": a_file(an_answer({"b": [["x"]], "a": at("response.b.-1")})),
    "at-huge": a_file(an_answer({"b": [["x"]], "a": at(f"response.b.{10**30}")})),
    "at-headers": a_file(an_answer({"a": at("headers")})),
    "at-another-address": a_file(
        a_row({"url": URL + "x"}, {"json": {"b": ["x"]}}), an_answer({"a": at("response.b", 1)})
    ),
    "at-too-deep": a_file(an_answer({"a": {}}), *[an_answer({"a": at("response", 1)})] * 400),
    "at-deeper-than-python": a_file(an_answer({"a": {}}), *[an_answer({"a": at("response", 1)})] * 4000),
    "two-bodies": a_file(a_row(response={"json": {}, "text": ["x"]})),
    "base64-with-blanks": a_file(a_row(response={"base64": "eA = ="})),
    "status-true": a_file(a_row(response={"status": True})),
    "status-zero": a_file(a_row(response={"status": 0})),
    "status-huge": a_file(a_row(response={"status": 10**30})),
    "method-two-lines": a_file(a_row({"method": "GET\r\nX: y"})),
    "method-none": a_file(a_row({"method": None})),
    "url-control": a_file(a_row({"url": "http://letta/\x1b[2J"})),
    "url-surrogate": a_file(a_row({"url": "http://letta/\ud800"})),
    "url-port": a_file(a_row({"url": "http://letta:port/"})),
    "header-two-lines": a_file(a_row(response={"headers": {"content-type": "a\r\nb: c"}})),
    "header-not-ascii": a_file(a_row(response={"headers": {"content-type": "é"}})),
    "digest-number": a_file(digest=5),
    "digest-none": a_file(digest=None),
    "digest-wrong": a_file(digest="0" * 64),
    "facts-at": a_file(recorded={"at": 5}),
    "facts-wall": a_file(recorded={"wall_s": "long"}),
    "facts-wall-true": a_file(recorded={"wall_s": True}),
    "facts-retries": a_file(recorded={"transport_retries": [1]}),
    "facts-retries-texts": a_file(recorded={"transport_retries": {"coder": "1"}}),
    "facts-versions": a_file(recorded={"versions": "1"}),
    "facts-versions-numbers": a_file(recorded={"versions": {"letta": 1}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_structure_is_an_error_of_the_harness(tmp_path, name):
    """A cassette that somebody broke by hand is refused when it is read, never played in part."""
    refused(tmp_path, HOSTILE[name])


def test_a_cassette_that_is_too_large_is_not_read(tmp_path):
    """Size is looked at before the content."""
    path = tmp_path / "c.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CassetteError, match="larger than"):
        load(path, "c.json", record_with="x")


@pytest.mark.parametrize("kind", ["folder", "below-a-file"])
def test_what_cannot_be_opened_is_an_error_of_the_harness(tmp_path, kind):
    """A folder in a cassette's place is reported like any damage."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    path = tmp_path if kind == "folder" else tmp_path / "file" / "c.json"
    with pytest.raises(CassetteError, match="cannot be read"):
        load(path, "c.json", record_with="x")


# --- saving -----------------------------------------------------------------------------------------

PLACES = {
    "request": a_cassette(an_exchange(sent({"messages": [{"content": f"x {KEY} y"}]}))),
    "response": a_cassette(an_exchange(response=sent({"text": KEY}))),
    "text": a_cassette(an_exchange(response=f"data: {KEY}\n\n".encode())),
    "binary": a_cassette(an_exchange(response=b"\xff\xfe" + KEY.encode() + b"\xff")),
    "url": a_cassette(an_exchange(url=f"{URL}?key={KEY}")),
    "request-header": a_cassette(an_exchange(request_headers={"anthropic-beta": KEY})),
    "response-header": a_cassette(an_exchange(response_headers={"content-type": KEY})),
    "key": a_cassette(an_exchange(sent({KEY: 1}))),
    "recorded": a_cassette(recorded={"versions": {"letta": KEY}}),
    "trial": a_cassette(trial=f"p/{KEY}/1"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_never_written(tmp_path, monkeypatch, place):
    """A cassette that would hold a key is refused wherever it stands, and the file there stays as it was."""
    monkeypatch.setenv("LETTA_API_KEY", KEY)
    path = tmp_path / "c.json"
    path.write_text("the previous recording", encoding="utf-8")
    with pytest.raises(CassetteError) as caught:
        save(PLACES[place], path, "cassettes/c.json")
    assert "LETTA_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)
    assert path.read_text(encoding="utf-8") == "the previous recording"
    assert os.listdir(tmp_path) == ["c.json"]


def test_many_secrets_are_told_briefly(tmp_path):
    """The message names a few places and counts the others."""
    looks = "sk-ant-" + "k7qp2mzx9lw4r"
    many = a_cassette(*[an_exchange(sent({"a": looks})) for _ in range(20)])
    with pytest.raises(CassetteError, match="and 17 more") as caught:
        save(many, tmp_path / "c.json", "c.json")
    assert looks not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert os.listdir(tmp_path) == []


def test_a_saved_cassette_is_plain_text_for_everyone(tmp_path):
    """The file is UTF-8 with unix line ends, ends in one, and others may read it."""
    path = tmp_path / "new" / "folder" / "c.json"
    save(a_cassette(an_exchange(sent({"a": "é\n漢"}))), path, "c.json")
    raw = path.read_bytes()
    assert "é" in raw.decode("utf-8")
    assert raw.endswith(b"}\n")
    assert b"\r" not in raw
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_text_of_a_cassette_is_the_same_every_time():
    """Saving what was loaded changes nothing."""
    kept = a_cassette(*a_conversation(5, SYSTEM), *a_letta_trial(*ids(5), "2026-01-01T00:00:00Z"))
    assert dumps(kept) == dumps(kept)


def test_loading_and_saving_again_gives_the_same_file(tmp_path):
    """A loaded cassette is written back without a change."""
    path = tmp_path / "c.json"
    save(a_cassette(*a_conversation(5, SYSTEM), *a_letta_trial(*ids(6), "2026-01-01T00:00:00Z")), path, "c")
    assert dumps(load(path, "c", record_with="x")) == path.read_text(encoding="utf-8")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    """When the last step fails, the old file and nothing else is there."""
    target = tmp_path / "taken"
    (target / "by a folder").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_whole(target, "text")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_text_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    """Not even a temporary file."""
    path = tmp_path / "c.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(TypeError):
        write_whole(path, b"bytes are no text")
    assert os.listdir(tmp_path) == ["c.json"]
    assert path.read_text(encoding="utf-8") == "old"


# --- one rule for writing and reading ---------------------------------------------------------------

FACTS = {
    "at": [None, "", "today", "2026-02-30", "20261122", "0001-01-01", 20261122, "2026-11-22T10:00:00"],
    "wall_s": [1e308, -1, "5", True, 10**400],
    "notional_cost_usd": ["0.1", -1, 1e300],
    "transport_retries": [{"coder": -1}, {"coder": 10**19}, {"coder": 1.5}, 5],
    "versions": [{"letta": 5}, "0.16"],
}


@pytest.mark.parametrize("name", FACTS)
def test_the_facts_of_a_recording_are_checked(tmp_path, name):
    """Values that a table cannot use are one error of this cassette, with the place; on writing, too."""
    for value in FACTS[name]:
        facts = {"at": "2026-11-22", name: value}
        said = refused(tmp_path, a_file(a_row(), recorded=facts)).message
        assert f"($.recorded.{name}" in said
        with pytest.raises(CassetteError, match=rf"not written: \$\.recorded\.{name}"):
            save(a_cassette(an_exchange(), recorded=facts), tmp_path / "d.json", "d.json")


def test_a_recording_without_a_day_is_refused(tmp_path):
    """Its trial could not be priced."""
    assert "($.recorded.at: Field required)" in refused(tmp_path, a_file(recorded={})).message


MESSAGES = {
    "response.headers": {"headers": {"content-encoding": "gzip"}},
    "response.status": {"status": 529},
    "request.headers": {"headers": {"authorization": "x"}},
    "request.method": {"method": "GET / HTTP/1.1"},
}


@pytest.mark.parametrize("place", MESSAGES)
def test_what_no_recording_holds_is_refused(tmp_path, place):
    """A header that would unfold a small body into a large one, a status that a replay would wait for."""
    part = place.partition(".")[0]
    data = a_file(a_row())
    data["exchanges"][0][part] |= MESSAGES[place]
    assert f"($.exchanges[0].{place}" in refused(tmp_path, data).message


def test_too_many_exchanges_or_values_are_refused(tmp_path):
    """A small text can be many exchanges, and many values in memory."""
    assert "at most 10000 items" in refused(tmp_path, a_file(*[a_row()] * 10_001)).message
    said = refused(tmp_path, a_file(a_row({"json": {"a": [{}] * 600_000}}))).message
    assert "it holds more than 1000000 values" in said


def test_a_request_that_refers_back_is_searched_once(tmp_path, monkeypatch):
    """A list that each of a hundred requests repeats takes no longer to search for secrets than one."""
    monkeypatch.setattr(file, "digest_of", lambda _: "")
    first = a_row({"json": {"a": ["x" * 80, *({} for _ in range(100_000))]}})
    again = a_row({"json": {"a": {"$prefix": 100_001, "back": 1, "then": []}}})
    path = tmp_path / "c.json"

    def seconds(*rows):
        path.write_text(json.dumps(a_file(*rows)), encoding="utf-8")
        loaded = load(path, "c")
        began = time.process_time()
        assert file.leaks(loaded, path) == []
        return time.process_time() - began

    assert seconds(first, *[again] * 90) < 3 * seconds(first) + 0.2


def test_what_stands_under_a_secret_key_is_found(tmp_path):
    """A recording would have scrubbed it, so somebody else wrote it there."""
    kept = a_cassette(an_exchange(sent({"a": {"api_key": "short"}}), sent({"token": "<secret>"})))
    (found,) = file.leaks(kept, tmp_path / "p/t/1.json")
    assert found == "$.exchanges[0].request: a value under a key that says it is a secret"
