"""The checks that run once before pytest records."""

from __future__ import annotations

import pytest
from fakes import claude_error
from in_process import run_here
from shelves import PAIRS, TASK, tape

from harness.backends.checks.preflight import check
from harness.cassette.file import save
from harness.errors import UsageError
from harness.tasks.suite import Selection, Suite

KEY = "sk-ant-api03-a-key-for-tests"
EMPTY = claude_error(400, "invalid_request_error", "Your credit balance is too low to access the API.")
NAMES = ("ORCH_MODEL", "CLAUDE_MODEL", "LETTA_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


@pytest.fixture
def repo(pytester, monkeypatch, letta, claude):
    """A repository with one task and one pair of two epochs, which can be recorded on the stand-ins."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    folder = pytester.mkdir("benchmarks")
    (folder / "add.yaml").write_text(TASK.read_text())
    (folder / "pairs.yaml").write_text(PAIRS)
    pytester.makeini("[pytest]\n")
    return pytester


def run(repo, *args):
    return run_here(repo, "benchmarks", *args)


def refused(result, *lines):
    """The run ended as an error of usage that says these, before any trial."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{line}*" for line in lines])
    assert "SOLVED" not in result.stdout.str()
    assert "api error" not in result.stdout.str().lower()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.slow
def test_an_empty_account(repo, letta, claude, workers) -> None:
    """It is told before the first trial, from one request, with workers as without."""
    claude.faults = [("/messages", EMPTY)] * 9
    result = run(repo, "--record=all", *workers)
    refused(
        result,
        "2 trials to record, none was begun:",
        "claude: claude-haiku-5-5 at *the account is empty (ANTHROPIC_API_KEY): 400 Your*-> add credit",
    )
    assert [path for _, path, _ in claude.requests].count("/v1/messages") == 1
    assert letta.agents == {}


def test_a_missing_key(repo, monkeypatch, letta, claude) -> None:
    """Nobody is asked at all."""
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    refused(run(repo, "--record=once"), "ANTHROPIC_API_KEY: not set -> set it")
    assert (letta.requests, claude.requests) == ([], [])


def test_a_login_of_the_cli_for_a_key(repo, monkeypatch, claude) -> None:
    """It is known by how it begins: it is sent to nobody, and not shown."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-oat01-abcdefgh")
    result = run(repo, "--record=once")
    refused(result, "ANTHROPIC_API_KEY: begins with sk-ant-oat: this is a login of the Claude CLI")
    assert claude.requests == []
    assert "abcdefgh" not in result.stderr.str() + result.stdout.str()


def test_no_letta(repo, monkeypatch) -> None:
    """A server that is not there is one message, not one for each trial."""
    monkeypatch.setenv("LETTA_BASE_URL", "http://127.0.0.1:9")
    refused(run(repo, "--record=once"), "letta: Letta at http://127.0.0.1:9 cannot be reached -> start it")


def test_a_word_that_is_no_handle(repo, letta) -> None:
    """A fixed policy that is misspelt looks for a server: what was meant is told."""
    (repo.path / "benchmarks/pairs.yaml").write_text(PAIRS.replace("openai/gpt-5-mini", "dirct"))
    said = "'dirct' is no Letta handle (PROVIDER/MODEL); did you mean 'direct'?"
    refused(run(repo, "--record=once"), said)


def test_a_model_that_letta_does_not_offer(repo, letta) -> None:
    """The nearest handle is named."""
    letta.handles = ["openai/gpt-5-nano"]
    refused(
        run(repo, "--record=once"), "does not offer 'openai/gpt-5-mini'; did you mean 'openai/gpt-5-nano'?"
    )


@pytest.mark.slow
def test_what_is_there_is_checked_once_and_not_recorded(repo, letta, claude) -> None:
    """Two trials, one check; the cassettes hold nothing of it."""
    result = run(repo, "--record=once", "-n", "2")
    result.stdout.fnmatch_lines(["2 trials to record: what they need is there"])
    assert result.parseoutcomes() == {"solved": 2}
    assert [path for _, path, _ in letta.requests].count("/v1/models/") == 1
    recorded = "".join(path.read_text() for path in (repo.path / "cassettes").rglob("*.json"))
    assert "/v1/models" not in recorded
    assert "Hello" not in recorded


def test_load_does_not_stop_a_run(repo, claude) -> None:
    """What passes by itself is a warning: each trial tries again."""
    claude.faults = [("/messages", claude_error(529, "overloaded_error", "Overloaded"))]
    result = run(repo, "--record=once")
    result.stdout.fnmatch_lines(["claude: *overloaded*"])
    assert result.parseoutcomes() == {"solved": 2}


@pytest.mark.slow
def test_a_replayed_trial_needs_nothing(repo, monkeypatch, letta, claude) -> None:
    """In mode once only what is missing counts; with everything recorded no key and no server is needed."""
    assert run(repo, "--record=once").parseoutcomes() == {"solved": 2}
    letta.requests.clear()
    claude.requests.clear()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    assert run(repo, "--record=once").parseoutcomes() == {"solved": 2}
    assert (letta.requests, claude.requests) == ([], [])
    refused(run(repo, "--record=all", "-k", "1"), "1 trial to record, none was begun")


@pytest.mark.parametrize("args", [("--record=none",), ("--record=once", "--collect-only")])
def test_nothing_is_checked_where_nothing_is_recorded(repo, args, letta, claude) -> None:
    """Replaying and collecting ask nobody."""
    run(repo, *args)
    assert (letta.requests, claude.requests) == ([], [])


def test_the_checks_can_be_left_out(repo, letta) -> None:
    """--no-live-checks begins at once, and each trial finds out by itself."""
    letta.handles = []
    assert run(repo, "--record=once", "--no-live-checks").parseoutcomes() == {"solved": 2}


def test_all_problems_at_once(pair, letta, claude) -> None:
    """A wrong orchestrator and an empty account are one message of two lines."""
    letta.handles = ["openai/gpt-5"]
    claude.faults = [("/messages", EMPTY)]
    environment = {"LETTA_BASE_URL": letta.url, "ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": KEY}
    with pytest.raises(UsageError) as caught:
        check([pair], environment)
    assert [line.split(":")[0] for line in caught.value.message.splitlines()] == ["orchestrator", "claude"]


def test_a_source_is_known_by_its_node_ids(repo, letta) -> None:
    """Tasks of a source file count among the trials to record, with workers too."""
    (fields,) = Suite(repo.path / "benchmarks", repo.path, Selection(), {}).tasks(
        repo.path / "benchmarks" / "add.yaml"
    )
    (repo.path / "benchmarks" / "ours.jsonl").write_text(
        fields.model_copy(update={"id": "sum"}).model_dump_json() + "\n"
    )
    (repo.path / "benchmarks" / "many.yaml").write_text("source: ours.jsonl\ncollect: always\n")
    suite = Suite(repo.path / "benchmarks", repo.path, Selection(), {})
    for trial in suite.trials(repo.path / "benchmarks" / "add.yaml"):
        path = repo.path / "cassettes" / f"{trial.slug}.json"
        save(tape(trial), path, "it")
    letta.handles = []
    refused(run(repo, "--record=once", "-n", "1"), "2 trials to record, none was begun")
