"""backend: claude-code: what the CLI tells, recorded and replayed without it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from fakes import CODE, TESTS

from harness.agents.messages import Refused
from harness.backends.claude.claude_code import ADDRESS, ClaudeCode, written
from harness.errors import ApiError, StaleCassette
from harness.runner import notional_cost, run_trial
from harness.tasks.pair import Pair

RESULT = {
    "subtype": "success",
    "is_error": False,
    "api_error_status": None,
    "stop_reason": "end_turn",
    "num_turns": 2,
    "text": "It is written.",
    "usage": {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 3},
    "models": ["claude-haiku-5-5"],
    "notional_cost_usd": 0.25,
    "denials": 0,
}


def call(path: str, code: str, number: int = 1, *, tool: str = "Write", failed: bool = False) -> list[Any]:
    """A call of a tool, and what came back."""
    asked = {
        "kind": "called",
        "id": f"t{number}",
        "tool": tool,
        "input": {"file_path": path, "content": code},
    }
    return [asked, {"kind": "returned", "id": f"t{number}", "is_error": failed}]


def told(*messages: Any, **result: Any) -> dict[str, Any]:
    return {"messages": list(messages), "result": {**RESULT, **result}}


class Direct:
    """A channel that neither records nor plays."""

    def exchange(self, url, asked, live):
        self.asked = (url, asked)
        return live()


def ask(answer: Any, channel: Any = None) -> Any:
    backend = ClaudeCode(lambda: {"helper.py": "X = 1\n"}, channel or Direct(), lambda _: answer)
    return backend.ask(
        "coder", "claude-haiku-5-5", "You write.", "Write the file add.py.", {"max_tokens": 99}
    )


def extracted(answer: Any) -> str | None:
    from harness.agents.code_blocks import extract_code

    return extract_code(answer.text, "add.py", cut_off=answer.cut_off)


def test_the_question_holds_all_that_the_cli_gets() -> None:
    """What a replay has to ask alike: model, words, limit and the files that lie in the folder."""
    channel = Direct()
    ask(told(*call("add.py", CODE)), channel)
    assert channel.asked[0] == ADDRESS
    assert channel.asked[1] == {
        "role": "coder",
        "model": "claude-haiku-5-5",
        "system": "You write.",
        "prompt": "Write the file add.py.",
        "max_tokens": 99,
        "files": {"helper.py": "X = 1\n"},
    }


def test_the_written_file_is_the_answer() -> None:
    """Of several writes to one file the last counts; tokens are the CLI's, of the requests that it took."""
    answer = ask(told(*call("add.py", "X = 1\n"), *call("add.py", CODE, 2)))
    assert extracted(answer) == CODE
    assert (answer.usage.input, answer.usage.cache_read, answer.usage.output) == (11, 3, 7)
    assert answer.steps == 2


def test_a_file_is_found_beside_others_and_longer_words() -> None:
    """The name decides, not the length."""
    longer = CODE + "\n\ndef other():\n    return 1\n"
    text = f"```python add.py\n{longer}```"
    assert extracted(ask(told(*call("add.py", CODE), *call("other.py", longer, 2), text=text))) == CODE


@pytest.mark.parametrize(
    "messages",
    [
        (),
        call("add.py", CODE, failed=True),
        call("add.py", CODE)[:1],
        call("../add.py", CODE),
        call("/etc/add.py", CODE),
        call("add.py", CODE, tool="Read"),
    ],
    ids=["none", "refused", "not answered", "outside", "absolute", "another tool"],
)
def test_what_was_not_written_is_no_code(messages) -> None:
    """Nor is code that the CLI only talks of: it was asked to write a file."""
    text = f"Here it is:\n```python\n{CODE}```\nadd.py"
    assert written(list(messages)) == {}
    assert extracted(ask(told(*messages, text=text))) is None
    assert extracted(ask(told(*messages, text=CODE))) is None


@pytest.mark.parametrize("subtype", ["error_max_turns", "error_max_budget_usd"])
def test_a_limit_is_the_model_s_doing(subtype) -> None:
    """What was written until then counts, and so do the tokens."""
    answer = ask(told(*call("add.py", CODE), subtype=subtype, is_error=True, text=None))
    assert (extracted(answer), answer.cut_off, answer.usage.output) == (CODE, True, 7)
    assert extracted(ask(told(subtype=subtype, is_error=True, text=None))) is None


@pytest.mark.parametrize(
    ("status", "text", "remedy"),
    [
        (401, "Invalid bearer token", "claude setup-token"),
        (None, "Not logged in · Please run /login", "claude setup-token"),
        (429, "You have reached your limit", "limits"),
        (404, "model: claude-nope", "the model's name"),
    ],
)
def test_a_failing_service_is_an_error(status, text, remedy) -> None:
    """It comes as a success that is an error; nothing is measured, and the remedy fits."""
    with pytest.raises(ApiError, match=text) as caught:
        ask(told(is_error=True, api_error_status=status, text=text))
    assert remedy in caught.value.remedy


def test_a_refused_prompt_is_the_model_s_doing() -> None:
    """As with the Messages API."""
    with pytest.raises(Refused, match="too long"):
        ask(told(is_error=True, api_error_status=400, text="Prompt is too long"))


@pytest.mark.parametrize(
    "answer", [[], {}, {"messages": []}, {"messages": [], "result": {}}, told({"kind": "returned"}), told(3)]
)
def test_what_nobody_told_is_an_error(answer) -> None:
    """A recording or a CLI of another kind is no traceback."""
    with pytest.raises(ApiError, match="something else"):
        ask(answer)


# --- in a trial -----------------------------------------------------------------------------------------


@pytest.fixture
def trial(trial):
    pair = Pair(**{**dict(trial.pair), "name": "gpt+cli", "backend": "claude-code"})
    return trial.model_copy(update={"pair": pair})


@pytest.fixture
def cli(monkeypatch):
    """A CLI that writes right code and right tests, and remembers what it was asked."""
    asked: list[Any] = []

    def run(self, question):
        asked.append((self, question))
        tester = question["role"] == "tester"
        return told(*call("test_add.py" if tester else "add.py", TESTS if tester else CODE))

    monkeypatch.setattr("harness.backends.connect.Cli.run", run)
    monkeypatch.setattr("harness.backends.connect.cli_versions", lambda: {"claude-cli": "2.1.330"})
    return asked


def test_a_replay_needs_no_cli(trial, recording, replaying, cli, monkeypatch) -> None:
    """The recorded calls are carried out again: same record, transcript and files."""
    live = run_trial(trial, recording)
    assert len(cli) == 2
    monkeypatch.setattr("harness.backends.connect.Cli.run", lambda *_: pytest.fail("asked the CLI"))
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)
    replay = run_trial(trial, replaying)
    assert (live.error, replay.error, live.record.outcome) == (None, None, "solved")
    assert replay.record.row() | {"mode": ""} == live.record.row() | {"mode": ""}
    assert replay.transcript == live.transcript
    assert replay.files == live.files == {"add.py": CODE, "test_add.py": TESTS}


def test_login_and_notional_cost_are_recorded(trial, recording, cli) -> None:
    """Backend, login and what the CLI reckons are in the record of every trial."""
    row = run_trial(trial, recording).record.row()
    assert (row["backend"], row["notional_cost_usd"]) == ("claude-code", 0.5)
    recorded = run_trial(trial, recording).record.recorded
    assert (recorded["login"], recorded["versions"]["claude-cli"]) == ("endpoint", "2.1.330")
    own = {name: value for name, value in recording.environment.items() if name != "ANTHROPIC_BASE_URL"}
    assert run_trial(trial, replace(recording, environment=own)).record.recorded["login"] == "own"
    assert (cli[-1][0].base_url, cli[-1][0].api_key) == ("", "no-key"), "a key alone is never used"


def test_no_cost_is_no_nought() -> None:
    """Where the CLI does not tell, nothing is said."""
    assert notional_cost(()) is None


def test_a_changed_prompt_is_stale(trial, recording, replaying, cli, monkeypatch) -> None:
    """The CLI's words are part of the question, and told with their place."""
    run_trial(trial, recording)
    monkeypatch.setattr("harness.agents.prompts.claude_code", {"coder": "Other words.", "tester": "Others."})
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    assert "$.system" in str(result.error)


def test_a_repair_finds_the_files_as_they_are(trial, recording, replaying, cli, monkeypatch) -> None:
    """The folder of each question holds what the trial has written so far."""
    run_trial(trial, recording)
    assert [sorted(question["files"]) for _, question in cli] == [[], ["add.py"]]


def test_a_cli_that_fails_leaves_no_cassette(trial, recording, cli, monkeypatch) -> None:
    """An infra outcome, told with its remedy."""
    monkeypatch.setattr(
        "harness.backends.connect.Cli.run", lambda *_: told(is_error=True, text="Not logged in")
    )
    result = run_trial(trial, recording)
    assert (result.record.kind, result.record.outcome) == ("infra", "api_error")
    assert not (recording.root / trial.cassette_path).exists()


def test_the_cli_is_no_endpoint(pair) -> None:
    """Letta's sandbox cannot use it."""
    with pytest.raises(ValueError, match="tools: client"):
        Pair(**{**dict(pair), "backend": "claude-code", "tools": "server"})
