"""No secret reaches a file: recordings on stand-ins that are full of them, and every byte that is left.

One run of pytest records a trial for each way in which a secret can come along. Everything is on that could
write one down: narration, reports, JUnit, locals in tracebacks, a log of all that libraries say.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import warm
from fakes import CODE, CODER_THEN_TESTER, FakeClaude, FakeLetta, call, claude_error, say

from harness import redact

ANTHROPIC = "sk-ant-" + "canary-1-anthropic"
LETTA = "canary-2/letta+key="
OPENAI = 'canary-3-"openai"\\key'
DATABASE = "canary-4/data+base"
SERVERS = "canary-5-known-to-the-server-alone"
COOKIE = "canary-6-cookie"
ORGANISATION = "canary-7-organisation"
ENVIRONMENT = {
    "ANTHROPIC_API_KEY": ANTHROPIC,
    "LETTA_API_KEY": LETTA,
    "OPENAI_API_KEY": OPENAI,
    "DATABASE_URL": f"postgresql+asyncpg://app:{quote(DATABASE, safe='')}@db.internal:5432/x",
}
FORMS = {
    "raw": LETTA,
    "base64": base64.b64encode(f"user:{LETTA}".encode()).decode(),
    "quoted": quote(DATABASE, safe=""),
    "quoted twice": quote(quote(DATABASE, safe=""), safe=""),
    "hex": OPENAI.encode().hex(),
    "hex with colons": OPENAI.encode().hex(":"),
    "escaped letters": LETTA.replace("c", "\\u0063"),
    "lines": f"{LETTA[:11]}\n    {LETTA[11:]}",
    "HTML": html.escape(OPENAI),
    "base64 in lines": base64.encodebytes(DATABASE.encode() * 5).decode(),
    "escaped": json.dumps({"key": OPENAI}),
    "escaped twice": json.dumps({"arguments": json.dumps({"key": OPENAI})}),
}
KEY_LINES = "MIICanaryIBAAKCAQEA\nCanaryCanaryCanary"
SHAPES = {
    "a Hugging Face token": "hf_" + "canary" * 6,
    "a Slack token": "xoxb-" + "canary-123456789",
    "a Stripe key": "sk_" + "live_" + "canary12" * 3,
    "a basic authorization": "Authorization: Basic " + "Y2FuYXJ5OmNhbmFyeQ==",
    "a password in a URL": "postgresql://me:" + "canary-pw@host",
    "a private key": f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_LINES}\n-----END RSA PRIVATE KEY-----",
}
PLANTED = (
    *(ANTHROPIC, LETTA, OPENAI, DATABASE, SERVERS, COOKIE, ORGANISATION, KEY_LINES[:18]),
    *FORMS.values(),
    *SHAPES.values(),
)
SAYS = "\n".join([*FORMS.values(), *SHAPES.values()])
TASKS = ("scrubbed", "spec", "answer", "refusal", "denied", "said")
TASK = """\
title: Add two numbers
spec: Implement add(a, b).{more}
code_file: add.py
test_file: test_add.py
reference: |
  def add(a, b):
      return a + b
acceptance: |
  from add import add

  def test_sum():
      assert add(2, 3) == 5
limits: {{max_repairs: 0}}
"""
PAIRS = "pairs:\n  p:\n    orchestrator: {model: openai/gpt-5-mini}\n    coder: claude-haiku-5-5\n"


class LeakyLetta(FakeLetta):
    """Echoes an agent's secrets, sets a cookie, and says what the trial's name asks for."""

    def answer(self, method: str, path: str, body: Any) -> Any:
        status, answer = super().answer(method, path, body)
        return status, answer, {"set-cookie": f"session={COOKIE}; HttpOnly"}

    def _create(self, body: Any) -> Any:
        secrets = {"LETTA_API_KEY": LETTA, "TOOL_PASSWORD": SERVERS}
        state = super()._create({**body, "secrets": secrets})
        state["tool_exec_environment_variables"] = state["secrets"]
        state["llm_config"]["api_key"] = SERVERS
        task = body["name"].partition("_")[2].partition("_")[0]
        if not task:
            return state  # the checks before the first trial ask once, too
        last = say(f"Look: {SAYS}") if task == "said" else CODER_THEN_TESTER[2]
        coder = call("run_claude_coder", spec=f"add two numbers: {task}", file_name="add.py")
        self._playing[state["id"]] = itertools.cycle((coder, CODER_THEN_TESTER[1], last))
        return state


class LeakyClaude(FakeClaude):
    """Names the organisation, and writes a key into its code or its refusal if the trial is called so."""

    def answer(self, method: str, path: str, body: Any) -> Any:
        asked = str(body["messages"][0]["content"]) if body else ""  # a check asks for the models
        headers = {"anthropic-organization-id": ORGANISATION, "set-cookie": f"a={COOKIE}"}
        if "numbers: refusal" in asked:
            return *claude_error(400, "invalid_request_error", f"prompt is too long: {ANTHROPIC}"), headers
        if "numbers: denied" in asked:
            return *claude_error(401, "authentication_error", f"no such key: {LETTA}"), headers
        self.code = f"KEY = {OPENAI!r}\n{CODE}" if "numbers: answer" in asked else CODE
        return *super().answer(method, path, body), headers


INPUTS = ("pytest.ini", "benchmarks")
LOUD = ("-v", "-s", "-rA", "--showlocals", "--log-level=DEBUG", "--log-file=run.log", "--junitxml=junit.xml")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository after ``pytest benchmarks --record=once`` on the leaky stand-ins."""
    root = tmp_path_factory.mktemp("canary")
    (root / ".git").mkdir()
    (root / "benchmarks").mkdir()
    (root / "pytest.ini").write_text("[pytest]\njunit_logging = all\n")
    (root / "benchmarks/pairs.yaml").write_text(PAIRS)
    for name in TASKS:
        more = f" {LETTA}" if name == "spec" else ""
        (root / f"benchmarks/{name}.yaml").write_text(TASK.format(more=more))
    with LeakyLetta().running() as letta, LeakyClaude().running() as claude:
        urls = {"LETTA_BASE_URL": letta.url, "ANTHROPIC_BASE_URL": claude.url}
        home = {"HARNESS_HOME": str(tmp_path_factory.mktemp("home"))}
        _record(root, {**os.environ, **ENVIRONMENT, **urls, **home})
        for fake, key in ((letta, LETTA), (claude, ANTHROPIC)):
            assert any(key in value for each in fake.headers for value in each.values()), "it was sent"
    return root


def _record(root: Path, environment: dict[str, str]) -> None:
    """Run pytest as somebody does who wants to know everything; keep what it prints."""
    done = warm.run(["benchmarks", "--record=once", *LOUD], root, environment)
    (root / "stdout.txt").write_text(done.stdout)
    (root / "stderr.txt").write_text(done.stderr)


def rows(root: Path) -> dict[str, dict[str, Any]]:
    lines = (root / "reports/latest/trials.jsonl").read_text().splitlines()
    return {row["task"]: row for row in map(json.loads, lines)}


def transcript(root: Path, task: str) -> dict[str, Any]:
    return json.loads((root / f"reports/latest/transcripts/p/{task}/1.json").read_text())


def files_left(root: Path) -> Iterator[tuple[str, str]]:
    """Every file that was not there before the run, as text in which no byte is lost."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and name.parts[0] not in INPUTS:
            yield str(name), path.read_bytes().decode("utf-8", "surrogateescape")


def spellings(text: str) -> set[str]:
    """A text as it is, in JSON, in JSON in JSON, in Python and in XML, and each of its lines alone."""
    once = json.dumps(text)[1:-1]
    plain = {text, once, json.dumps(once)[1:-1], repr(text)[1:-1], *text.split("\n")}
    return plain | {html.escape(each) for each in plain} | {html.escape(each, quote=False) for each in plain}


@pytest.mark.parametrize("planted", PLANTED, ids=lambda text: text[:12])
@pytest.mark.slow
def test_no_planted_secret_reaches_a_file(root, planted) -> None:
    """Not one byte of the run's files holds it: cassettes, records, transcripts, JUnit, log, output."""
    words = {word for word in spellings(planted) if "anary" in word or len(word) > 20}
    found = [(name, word) for name, text in files_left(root) for word in words if word in text]
    assert found == []


def test_the_run_left_every_kind_of_file(root) -> None:
    """The search above had something to look at."""
    names = [name for name, _ in files_left(root)]
    for kind in ("cassettes/p/scrubbed/1.json", "junit.xml", "run.log", "stdout.txt", "pairs.md"):
        assert any(name.endswith(kind) for name in names), kind
    assert sum("transcripts" in name for name in names) >= len(rows(root)) == len(TASKS)


def test_what_can_be_scrubbed_is_recorded(root) -> None:
    """Headers, cookies and Letta's secrets are taken out, and the trial is kept."""
    assert rows(root)["scrubbed"]["outcome"] == "solved"
    text = (root / "cassettes/p/scrubbed/1.json").read_text()
    assert text.count(json.dumps(redact.SECRET)) == len(["api_key", *["secrets", "variables"] * 2])
    assert "TOOL_PASSWORD" in text


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("spec", ["$.exchanges[1].request.messages[0].content", "the value of LETTA_API_KEY"]),
        ("answer", ["response.content[0].text", "the value of OPENAI_API_KEY"]),
        ("refusal", ["request.messages[0].approvals[0].tool_return", "the value of ANTHROPIC_API_KEY"]),
        ("said", ["response.messages[0].content", "the value of", "what looks like"]),
    ],
)
def test_what_cannot_be_scrubbed_is_refused_by_name(root, task, said) -> None:
    """The outcome is unsafe_cassette, with JSON path and kind, and there is no cassette."""
    row = rows(root)[task]
    assert (row["outcome"], row["kind"]) == ("unsafe_cassette", "infra")
    assert [part for part in said if part not in row["detail"]] == []
    assert not (root / f"cassettes/p/{task}").exists()


def test_an_error_that_names_the_key_is_told_without_it(root) -> None:
    """A server that repeats the key in its refusal is quoted, in the record and on the terminal."""
    row = rows(root)["denied"]
    assert (row["outcome"], redact.SECRET in row["detail"]) == ("api_error", True)
    assert f"no such key: {redact.SECRET}" in (root / "stdout.txt").read_text()


@pytest.mark.parametrize("task", ["spec", "answer", "said"])
def test_a_refused_recording_is_not_lost(root, task) -> None:
    """The conversation and the files that were paid for stand in the report, with marks for secrets."""
    kept = transcript(root, task)
    assert "def add" in kept["files"]["add.py"]
    assert "def test_add" in kept["files"]["test_add.py"]
    assert redact.SECRET in json.dumps(kept)


def test_a_refused_recording_waits_where_nobody_else_reads_it(root) -> None:
    """One for each trial that was refused, with mode 0600 and outside of the repository."""
    waiting = sorted(root.parent.glob("home0/unsaved/*.json"))
    assert len(waiting) == sum(row["outcome"] == "unsafe_cassette" for row in rows(root).values()) == 4
    assert {path.stat().st_mode & 0o777 for path in waiting} == {0o600}
    assert any(ANTHROPIC in path.read_text() for path in waiting)


@pytest.mark.parametrize("kind", SHAPES)
def test_each_shape_alone_is_refused(kind) -> None:
    """That the trial above was refused does not hang on one of the shapes in it."""
    assert list(redact.leaks({"a": SHAPES[kind]}, {})) == [f"$.a: what looks like {kind}"]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_alone_is_refused(form) -> None:
    """Nor on one of the forms."""
    assert len(list(redact.leaks({"a": FORMS[form]}, ENVIRONMENT))) == 1


def test_the_shipped_cassettes_hold_nothing_that_looks_like_a_secret() -> None:
    """The scan that refuses to write passes everything that is committed."""
    shipped = sorted((Path(__file__).parent.parent / "cassettes").rglob("*.json"))
    assert len(shipped) >= 24
    for path in shipped:
        assert list(redact.leaks(json.loads(path.read_bytes()), os.environ)) == [], path
