"""A task with several files to write, from the loader to the verdict."""

from __future__ import annotations

import json

import pytest

from harness.agents import prompts
from harness.agents.fixed_policy import parse_assignment
from harness.agents.transcript import Called, Said
from harness.errors import SpecError
from harness.grading.proofs import proof
from harness.runner import Setup, run_trial
from harness.tasks.loader import task_of
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial

FIELDS = {
    "id": "shop",
    "title": "A shop",
    "spec": "`prices.py` has `price(name)`: 2 for tea, else 3; `shop.py` has `total(names)`, their sum.",
    "code_file": "shop.py",
    "code_files": {"prices.py": "def price(name):\n    return 2 if name == 'tea' else 3\n"},
    "test_file": "test_shop.py",
    "reference": "from prices import price\n\n\ndef total(names):\n    return sum(map(price, names))\n",
    "acceptance": "from shop import total\n\n\ndef test_it():\n    assert total(['tea', 'milk']) == 5\n",
    "bugs": [{"name": "counts", "code": "def total(names):\n    return len(names)\n"}],
}
DIRECT = {"name": "p", "orchestrator": {"model": "direct"}}


@pytest.fixture
def task():
    return task_of(FIELDS, "it")


@pytest.fixture
def mock(task):
    """A trial of the oracle under the fixed policy."""
    return Trial(
        task=task, pair=Pair.model_validate({**DIRECT, "coder": "oracle", "backend": "mock"}), epoch=1
    )


def coder_calls(result):
    calls = [event for event in result.transcript.events if isinstance(event, Called)]
    return [json.loads(each.arguments)["file_name"] for each in calls]


def test_each_file_is_asked_for_and_all_of_them_are_judged(mock, sandbox, tmp_path) -> None:
    """The further files come first, then the code file, then the tests; the whole is solved."""
    result = run_trial(mock, Setup(tmp_path, sandbox, "all", environment={}))
    assert coder_calls(result) == ["prices.py", "shop.py", "test_shop.py"]
    assert (result.record.outcome, result.record.bugs_caught) == ("solved", 1)
    assert {path: result.files[path] for path in FIELDS["code_files"]} == FIELDS["code_files"]


def test_the_coder_is_shown_what_it_has_written(task, recording, replaying, claude) -> None:
    """The prompt of the second file quotes the first; the recording replays."""
    pair = Pair.model_validate({**DIRECT, "coder": "claude-haiku-5-5"})
    trial = Trial(task=task, pair=pair, epoch=1)
    files = {**FIELDS["code_files"], "shop.py": FIELDS["reference"]}
    fences = [f"{path}\n```python\n{code}```" for path, code in files.items()]
    claude.code, claude.tests = "```\n\n" + "\n\n".join(fences)[:-3], FIELDS["acceptance"]
    assert run_trial(trial, recording).record.outcome == "solved"
    asked = [body["messages"][0]["content"] for _, path, body in claude.requests]
    assert "The file prices.py as it is now:" not in asked[0]
    assert "The file prices.py as it is now:" in asked[1]
    assert FIELDS["code_files"]["prices.py"].rstrip() in asked[2]
    assert run_trial(trial, replaying).record.outcome == "solved"


def test_a_file_that_is_missing_is_no_code(task, mock, sandbox, tmp_path) -> None:
    """The outcome names it, whatever the others are worth, and the repair message does."""
    script = {"coder": [{"fault": "refused"}] * 4}
    scripted = task_of({**FIELDS, "scripts": {"half": script}}, "it")
    pair = mock.pair.model_copy(update={"coder": "script:half"})
    result = run_trial(
        Trial(task=scripted, pair=pair, epoch=1), Setup(tmp_path, sandbox, "all", environment={})
    )
    assert result.record.outcome == "no_code"
    assert result.record.detail == "prices.py was not written"
    repair = [e.text for e in result.transcript.events if isinstance(e, Said) and e.speaker == "user"][1]
    assert "prices.py was not written\nshop.py was not written" in repair


def test_a_repair_asks_for_all_files_again_with_the_test_output(task, mock, sandbox, tmp_path) -> None:
    """The message of a repair lists them, and the coder is told how the last version failed."""
    wrong = {"coder": [{"bug": "counts"}] * 2}
    scripted = task_of({**FIELDS, "scripts": {"late": wrong}}, "it")
    pair = mock.pair.model_copy(update={"coder": "script:late"})
    result = run_trial(
        Trial(task=scripted, pair=pair, epoch=1), Setup(tmp_path, sandbox, "all", environment={})
    )
    assert coder_calls(result) == ["prices.py", "shop.py", "test_shop.py"] * 2
    assert (result.record.outcome, result.record.solved_at) == ("solved", 2)
    repair = [e.text for e in result.transcript.events if isinstance(e, Said) and e.speaker == "user"][1]
    assert "Implementation files, one call of run_claude_coder for each: prices.py, shop.py\n" in repair


def test_validate_proves_it(task, sandbox) -> None:
    """Reference and further files pass together; the bug fails beside the right further files."""
    assert proof(task, [sandbox]).problems == []


def test_a_file_to_be_changed_is_shown_once_and_proved_as_it_shall_be(recording, sandbox, claude) -> None:
    """A further file may be given: the coder sees it as it is, the reference stands beside the right one."""
    task = task_of({**FIELDS, "files": {"prices.py": "def price(name):\n    return 0\n"}}, "it")
    assert proof(task, [sandbox]).problems == []
    pair = Pair.model_validate({**DIRECT, "coder": "claude-haiku-5-5", "tester": "none"})
    run_trial(Trial(task=task, pair=pair, epoch=1), recording)
    first, second = (body["messages"][0]["content"] for _, _, body in claude.requests)
    assert first.count("return 0") == 1
    assert second.count("The file prices.py") == 1


def test_messages_and_tools_name_all_files(task) -> None:
    """A message lists them, the policy reads them, and guided coders are told which one to write."""
    names = {"code_file": task.code_file, "test_file": task.test_file, "spec": "Do."}
    message = prompts.listing(prompts.TASK.format(**names), task.written)
    assignment = parse_assignment(message)
    assert (assignment.further, assignment.code_file) == (("prices.py",), "shop.py")
    assert prompts.listing(prompts.TASK.format(**names), ("shop.py",)) == prompts.TASK.format(**names)
    guided = prompts.definitions(guided=True, several=True)
    assert [list(each["parameters"]["properties"]) for each in guided.values()] == [
        ["spec", "file_name", "language"],
        ["spec"],
    ]


def test_the_digest_has_their_names_and_not_their_texts(task) -> None:
    """Models see the names; without the field the digest is that of before."""
    other = task_of({**FIELDS, "code_files": {"prices.py": "x = 1\n"}}, "it")
    without = task_of({**FIELDS, "code_files": {}}, "it")
    absent = task_of({key: value for key, value in FIELDS.items() if key != "code_files"}, "it")
    assert task.digest == other.digest != without.digest == absent.digest


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"code_files": ["prices.py"]}, "code_files: expected a mapping, got a list"),
        (
            {"code_files": {"prices.txt": "x"}},
            "code_files: expected the name of a .py file inside the workspace",
        ),
        (
            {"code_files": {"../prices.py": "x"}},
            "code_files: expected the name of a .py file inside the workspace",
        ),
        ({"code_files": {"json.py": "x"}}, "code_files: expected another name: 'json' is a module of Python"),
        (
            {"code_files": {"shop.py": "x"}},
            "code_files: expected other names than those of code_file and test_file, got 'shop.py'",
        ),
        (
            {"files": {"Prices.py": ""}},
            "files: expected names that differ in more than case, got 'prices.py'",
        ),
    ],
)
def test_wrong_files_are_named(fields, shown) -> None:
    """One line for each, with the field."""
    with pytest.raises(SpecError) as caught:
        task_of({**FIELDS, **fields}, "it")
    assert any(shown in line for line in caught.value.problems), caught.value.problems
