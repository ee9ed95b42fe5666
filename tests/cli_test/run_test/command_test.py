"""`harness run`, against loopback servers and the real sandbox."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from fakes import FakeLetta, call, claude_error, say

from harness.cassette import unsaved
from harness.cli.main import main
from harness.cli.run import session
from harness.cli.run.command import choose_pair
from harness.local.stack import status
from harness.local.stack.status import StackState
from harness.tasks.loader import load_task

KEY = "sk-ant-api03-a-key-for-tests"
SPEC = "Implement add(a, b)."
WRONG = "def add(a, b):\n    return a - b\n"


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch, letta, claude) -> None:
    """An empty folder, and the stand-ins as services."""
    monkeypatch.chdir(tmp_path)
    for name in ("LETTA_API_KEY", "ORCH_MODEL", "CLAUDE_MODEL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "120")


def run(*args: str, spec: str = SPEC, file: str = "add.py"):
    return CliRunner().invoke(main, ["run", spec, "--file", file, "--workspace", "out", *args])


def test_from_a_sentence_to_tested_code(tmp_path, letta, claude) -> None:
    """The conversation is shown, code and tests end in the folder, tests, tokens and cost are told."""
    result = run()
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "add.py").read_text() == claude.code
    assert (tmp_path / "out" / "test_add.py").read_text() == claude.tests
    for part in (
        "orchestrator calls run_claude_coder",
        "coder writes add.py",
        "generated tests pass",
        "file   out/add.py: written, 2 lines",
        "tests  1 passed",
        "talk   1 attempt, 2 tool calls, 0 of them failed, 0 wasted",
        "tokens orchestrator (openai/gpt-5-mini): 180 in, 30 out, cache 0 written 120 read; cost $0.00",
        "tokens coder (claude-haiku-5-5): 20 in, 30 out, cache 5 written 7 read; cost $",
        "cost   $0.00",
    ):
        assert part in result.output, part
    assert letta.agents == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_without_an_orchestrator_s_model(letta) -> None:
    """The fixed policy asks no Letta, has no tokens, and leaves no cost unknown."""
    result = run("--orchestrator", "direct")
    assert result.exit_code == 0, result.output
    assert "tokens orchestrator" not in result.output
    assert result.output.splitlines()[-1].startswith("cost   $")
    assert letta.requests == []


def test_code_alone(tmp_path, letta) -> None:
    """Nobody writes tests: that none ran is no failure."""
    result = run("--orchestrator", "direct", "--tester", "none")
    assert (result.exit_code, (tmp_path / "out" / "add.py").exists()) == (0, True), result.output
    assert "tests  none: nobody writes any" in result.output


@pytest.mark.parametrize("option", ["--coder", "--orchestrator"])
def test_an_empty_name_of_a_model(option, claude) -> None:
    """No default is asked in its place, which would cost money."""
    result = run(option, "")
    assert (result.exit_code, claude.requests) == (2, [])
    assert f"{option}: expected the name of a model" in result.output


def test_a_run_in_the_app_server(letta, monkeypatch) -> None:
    """It is named, or it is what the embedded stack runs; the other Letta is refused in one line."""
    letta.faults = [("/health/", (200, {"version": "App Server 0.34.12 through X", "status": "ok"}))] * 4
    assert run("--letta", "app-server").exit_code == 0
    refused = run("--force")
    assert (refused.exit_code, "the pair is for `server: v1`" in refused.output) == (2, True)
    letta.faults = []
    monkeypatch.delenv("LETTA_BASE_URL")
    monkeypatch.setattr(status, "status", lambda: StackState((), letta.url, "", "app-server"))
    given = dict.fromkeys(("pair", "letta", "orchestrator", "coder", "tester", "backend"))
    assert choose_pair(given).orchestrator.server == "app-server"
    assert choose_pair(given | {"letta": "v1"}).orchestrator.server == "v1"


def test_tests_that_fail(tmp_path, claude) -> None:
    """The exit code says so; what was written is there all the same; repairs can be left out."""
    claude.code = WRONG
    result = run("--max-repairs", "0")
    assert result.exit_code == 1
    assert "tests  1 failed, 0 passed; test_add.py::test_add: " in result.output
    assert "talk   1 attempt, 2 tool calls" in result.output
    assert (tmp_path / "out" / "add.py").read_text() == WRONG


def test_nothing_is_replaced_without_force(tmp_path, letta) -> None:
    """A file that stands in the folder is seen before anybody is asked."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "test_add.py").write_text("mine\n")
    result = run()
    assert (result.exit_code, letta.requests) == (2, [])
    assert result.output.startswith("error: out/test_add.py stands there already -> ")
    assert (tmp_path / "out" / "test_add.py").read_text() == "mine\n"
    assert not (tmp_path / "out" / "add.py").exists()
    assert run("--force").exit_code == 0
    assert (tmp_path / "out" / "test_add.py").read_text() != "mine\n"


def test_a_file_of_another_name_replaces_nothing_either(tmp_path) -> None:
    """A model that writes over the user's file keeps out, and that is told."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.py").write_text("mine\n")
    steps = (call("run_claude_coder", spec="x", file_name="notes.py"), say("Done."))
    with FakeLetta(steps).running() as letta:
        result = CliRunner(env={"LETTA_BASE_URL": letta.url}).invoke(
            main, ["run", SPEC, "--file", "add.py", "--workspace", "out", "--max-repairs", "0"]
        )
    assert result.exit_code == 1
    assert "file   out/notes.py: not written: stands there already" in result.output
    assert "tests  none ran" in result.output
    assert (tmp_path / "out" / "notes.py").read_text() == "mine\n"


def test_what_the_folder_holds_is_given_only_if_asked(tmp_path, claude) -> None:
    """A file of the folder reaches the models with --give, and not without; it is not written back."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data.txt").write_text("forty-two\n")
    run("--force")
    assert "forty-two" not in str(claude.requests)
    result = run("--force", "--give", "data.txt")
    assert "forty-two" in str(claude.requests)
    assert "data.txt:" not in result.output


@pytest.mark.slow
def test_a_task_file_of_what_came_out(tmp_path, claude) -> None:
    """It loads; reference and acceptance are what was written; validate says what is missing."""
    result = run("--save-task", "benchmarks/sum.yaml")
    assert result.exit_code == 0, result.output
    assert "task   benchmarks/sum.yaml: written, to be reviewed" in result.output
    path = tmp_path / "benchmarks" / "sum.yaml"
    task = load_task(path, "sum.yaml")
    assert (task.id, task.spec, task.reference, task.acceptance) == (
        "sum",
        f"{SPEC}\n",
        claude.code,
        claude.tests,
    )
    assert "TO BE REVIEWED" in path.read_text()
    checked = CliRunner().invoke(main, ["validate", "benchmarks/sum.yaml"])
    assert checked.exit_code == 1
    assert "tags: unreviewed: models wrote reference and acceptance" in checked.output
    assert "no known bugs" in checked.output
    assert "does not pass" not in checked.output
    path.write_text(path.read_text().replace("  - unreviewed", "  - sums"))
    assert CliRunner().invoke(main, ["validate", "benchmarks/sum.yaml"]).exit_code == 0


@pytest.mark.parametrize("name", ["benchmarks/pairs.yaml", "sum.txt", "a b.yaml", "there.yaml", "-x.yaml"])
def test_a_task_file_that_cannot_be_written(name, tmp_path, letta) -> None:
    """It is told before anybody is asked."""
    (tmp_path / "there.yaml").write_text("mine\n")
    result = run(f"--save-task={name}")
    assert (result.exit_code, letta.requests, result.output.count("\n")) == (2, [], 1)
    assert (tmp_path / "there.yaml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--backend", "mock", "--coder", "oracle"), "backend mock writes what stands in a task file"),
        (("--coder", "oracle"), "oracle is a mock: backend mock writes what stands in a task file"),
        (("--backend", "nope"), "--backend: expected 'anthropic', 'claude-code'"),
        (("--pair", "one", "--coder", "x"), "--pair and --coder exclude each other"),
        (("--pair", "one"), "benchmarks/pairs.yaml"),
        (("--give", "../secret.txt"), "is not in out"),
        (("--give", "nope.txt"), "expected a text file"),
        (("--test-file", "add.py"), "expected code_file and test_file to differ"),
        (("--orchestrator", "openai/gpt-4"), "does not offer 'openai/gpt-4'"),
        (("--max-tokens", "1"), "limits.max_tokens"),
    ],
)
def test_wrong_arguments(args, said, claude) -> None:
    """One line that says what is wrong, and nothing is paid."""
    result = run(*args)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert claude.requests == []
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("file", ["../add.py", "/tmp/add.py", "add.txt", "json.py", ""])
def test_a_wrong_file_name(file, letta) -> None:
    """A code file is a .py file inside the folder."""
    result = run(file=file)
    assert (result.exit_code, letta.requests) == (2, [])
    assert "code_file" in result.output


def test_an_empty_spec(letta) -> None:
    """Nobody is asked to build nothing."""
    result = run(spec=" ")
    assert (result.exit_code, letta.requests, "SPEC is empty" in result.output) == (2, [], True)


def test_a_folder_that_is_a_file(tmp_path) -> None:
    """It is told, and left alone."""
    (tmp_path / "out").write_text("mine")
    assert "out is no folder" in run().output


def test_a_pair_of_the_pairs_file(tmp_path, claude) -> None:
    """--pair takes its models from there."""
    (tmp_path / "benchmarks").mkdir()
    pairs = "pairs: {p: {orchestrator: {model: openai/gpt-5}, coder: claude-opus-5-5, tester: claude-x}}\n"
    (tmp_path / "benchmarks" / "pairs.yaml").write_text(pairs)
    assert run("--pair", "p").exit_code == 0
    assert [body["model"] for _, _, body in claude.requests] == ["claude-opus-5-5", "claude-x"]


def test_a_service_that_fails_half_way(tmp_path, claude) -> None:
    """What was written by then is delivered; the error is one line with what to do."""
    empty = claude_error(400, "invalid_request_error", "Your credit balance is too low to access the API.")
    claude.faults = [("/messages", None), ("/messages", empty)]
    result = run("--max-repairs", "0", "--save-task", "benchmarks/sum.yaml")
    assert result.exit_code == 1
    assert (tmp_path / "out" / "add.py").is_file()
    assert "file   out/add.py: written" in result.output
    assert result.output.splitlines()[-1].endswith("-> add credit to the account of this key")
    assert not (tmp_path / "benchmarks").exists()


def test_an_interrupt_delivers_what_there_is(tmp_path, letta, monkeypatch) -> None:
    """Ctrl-C in the middle: the code that was paid for is kept, and the agent is gone."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    real = session.narrator()

    def tell(event):
        real(event)
        if type(event).__name__ == "Returned":
            interrupted()

    monkeypatch.setattr(session, "narrator", lambda: tell)
    result = run()
    assert result.exit_code == 1
    assert (tmp_path / "out" / "add.py").is_file()
    assert letta.agents == {}


def test_secrets_and_terminals(tmp_path, claude, monkeypatch) -> None:
    """What a model says acts on no terminal, and a key of the environment is not shown, nor kept."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MY_TOKEN", "hunter2-hunter2")
    claude.code = "def add(a, b):\n    return a + b  # \x1b[2J hunter2-hunter2\n"
    result = run()
    assert "hunter2" not in result.output
    assert "\x1b" not in result.output
    assert (tmp_path / "out" / "add.py").is_file()
    assert list(unsaved.waiting()) == []
