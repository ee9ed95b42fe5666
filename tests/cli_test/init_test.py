"""``harness init``: an empty repository has its first recorded result without a server or a key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from harness import __version__
from harness.cli import init as init_module
from harness.cli.main import main
from harness.cli.task_files import schemas
from harness.grading.proofs import proof
from harness.runner import Setup, run_trial
from harness.tasks.suite import Selection, Suite

NEXT = "next:\n  harness validate\n  pytest benchmarks --record=once --pair {}\n  pytest benchmarks -n 2\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init() -> Result:
    return CliRunner().invoke(main, ["init"])


def written(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_empty_repository_gets_a_suite_that_records_and_replays(repository, sandbox) -> None:
    """The task is right; the demo pair solves it with an empty environment, live and from the recording."""
    result = init()
    assert (result.exit_code, result.output.endswith(NEXT.format("demo"))) == (0, True), result.output
    assert "no example" not in result.output + init().output
    suite = Suite(repository / "benchmarks", repository, Selection(), {})
    (path,) = suite.files()
    (trial,) = suite.trials(path)
    assert trial.pair.name == "demo"
    assert proof(trial.task, [sandbox]).problems == []
    setup = Setup(repository, sandbox, "once", environment={})
    outcomes = [run_trial(trial, each).record for each in (setup, replace(setup, mode="none"))]
    assert [(each.mode, each.outcome) for each in outcomes] == [("record", "solved"), ("replay", "solved")]


def test_the_pair_of_claude_needs_nothing_but_an_endpoint(repository, recording, claude, letta) -> None:
    """It is run where it is named, and asks the Messages API alone."""
    init()
    suite = Suite(repository / "benchmarks", repository, Selection(pairs=("haiku",)), {})
    (trial,) = suite.trials(suite.files()[0])
    claude.code, claude.tests = trial.task.reference, trial.task.acceptance
    assert run_trial(trial, replace(recording, root=repository)).record.outcome == "solved"
    assert (len(claude.requests), letta.requests) == (2, [])


def test_what_is_there_is_kept(repository) -> None:
    """A second time nothing changes; a file, a link to nowhere and a suite with tasks stay as they are."""
    (repository / "benchmarks").mkdir()
    pairs = "pairs:\n  ours: {orchestrator: {model: direct}, coder: oracle, backend: mock}\n"
    (repository / "benchmarks/pairs.yaml").write_text(pairs)
    (repository / "benchmarks/own.yaml").write_text("title: ours\nacceptance: x\n")
    (repository / "reports").mkdir()
    (repository / "reports/.gitignore").symlink_to("nowhere")
    first = init()
    assert first.output.endswith(NEXT.format("ours"))
    assert "no example task was written: benchmarks has YAML files of its own" in first.output
    before = written(repository)
    assert before["benchmarks/pairs.yaml"].decode() == pairs
    assert "benchmarks/reverse_words.yaml" not in before
    assert not (repository / "reports/nowhere").exists()
    second = init()
    assert written(repository) == before
    assert "wrote" not in second.output


def test_editors_find_the_schemas(repository) -> None:
    """Each file names its schema by a path that is there, also a task that is made afterwards."""
    init()
    CliRunner().invoke(main, ["new", "task", "later"])
    for name in ("pairs.yaml", "reverse_words.yaml", "later.yaml"):
        first = (repository / "benchmarks" / name).read_text().splitlines()[0]
        assert (repository / "benchmarks" / first.partition("$schema=")[2]).is_file()
    assert {path.name for path in (repository / "benchmarks/schemas").iterdir()} == set(schemas())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, []),
        ({"pyproject.toml": "not toml ["}, []),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, ["pip install -e ."]),
        ({"setup.py": ""}, ["pip install -e ."]),
        (
            {"requirements.txt": "numpy\n", "pyproject.toml": "[project]\nname = 'x'\n"},
            ["pip install -r requirements.txt", "pip install -e ."],
        ),
    ],
)
def test_the_workflow_installs_what_the_repository_has(repository, files, expected) -> None:
    """Its own requirements and itself, where there are any; then the harness, and no Makefile of ours."""
    for name, text in files.items():
        (repository / name).write_text(text)
    init()
    steps = yaml.safe_load((repository / ".github/workflows/benchmarks.yml").read_text())["jobs"]["replay"][
        "steps"
    ]
    commands = [step["run"] for step in steps if "run" in step]
    *own, harness = commands[: commands.index("harness validate")]
    assert own == expected
    assert harness.startswith("pip install ")
    assert "pair-harness" in harness
    assert commands[-2:] == ["harness cassettes check", "pytest benchmarks -n 2"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, f"pair-harness=={__version__}"),
        ('{"url": "file:///home/me/harness", "dir_info": {}}', f"pair-harness @ {init_module.UNKNOWN}"),
        (
            '{"url": "https://example.org/h.whl", "archive_info": {}}',
            "pair-harness @ https://example.org/h.whl",
        ),
        (
            '{"url": "https://example.org/h.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "pair-harness @ git+https://example.org/h.git@abc",
        ),
    ],
)
def test_the_workflow_installs_the_harness_from_where_it_came(origin, expected, monkeypatch) -> None:
    """From a repository if it was installed from one; never from a folder of somebody's machine."""

    class Installed:
        @staticmethod
        def read_text(name):
            assert name == "direct_url.json"
            return origin

    monkeypatch.setattr(init_module, "distribution", lambda _: Installed)
    assert init_module.requirement() == expected


@pytest.mark.parametrize("origin", ["{}", '{"url": "file:///home/me/harness", "dir_info": {}}'])
def test_a_harness_from_a_folder_is_no_name_of_an_index(origin, repository, monkeypatch) -> None:
    """Whoever took the name there would run in CI; init and the workflow say what to put."""
    installed = type("Installed", (), {"read_text": staticmethod(lambda _: origin)})
    monkeypatch.setattr(init_module, "distribution", lambda _: installed)
    told = "in it, put from where CI can install the harness" in init().output
    text = (repository / ".github/workflows/benchmarks.yml").read_text()
    is_known = origin == "{}"
    assert (
        told == ("CI cannot reach: put an address that it can.\n      - run: pip install" in text) != is_known
    )
    assert (f"pair-harness=={__version__}" in text) == is_known


def test_a_repository_on_gitlab_gets_no_workflow_of_github(repository) -> None:
    """Nobody would read it there."""
    (repository / ".gitlab-ci.yml").write_text("")
    init()
    assert not (repository / ".github").exists()


def test_a_file_in_the_way_is_one_line(repository) -> None:
    """No traceback where benchmarks is a file."""
    (repository / "benchmarks").write_text("")
    result = init()
    assert result.exit_code == 2
    assert result.output.startswith("error: benchmarks/pairs.yaml: cannot be written: ")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("words", [["init"], ["report"], ["validate"]])
def test_inside_the_benchmarks_folder_the_root_is_one_up(words, repository, monkeypatch) -> None:
    """A command that finds nothing there says why, and nothing is nested."""
    init()
    before = written(repository)
    monkeypatch.chdir(repository / "benchmarks")
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert result.output.splitlines()[1:] == [
        "note: this is the benchmarks folder itself; the root of the repository is one up"
    ]
    assert written(repository) == before


@pytest.mark.parametrize(
    ("folder", "shown"),
    [("evals", "evals"), ("tests/my: #evals", "'tests/my: #evals'"), ("PYTHON", "PYTHON")],
)
def test_the_folder_that_pytest_is_told_is_the_one(folder, shown, repository, monkeypatch) -> None:
    """Files, next steps and the workflow speak of it, and it is not nested in itself."""
    (repository / "pytest.ini").write_text(f"[pytest]\nbenchmarks = {folder}\n")
    said = init().output
    assert f"  pytest {shown} -n 2\n" in said
    assert f"pytest {shown} --record=once" in (repository / folder / "pairs.yaml").read_text()
    assert not (repository / "benchmarks").exists()
    workflow = yaml.safe_load((repository / ".github/workflows/benchmarks.yml").read_text())
    commands = [step.get("run") for step in workflow["jobs"]["replay"]["steps"]]
    assert f"pytest {shown} -n 2" in commands
    before = written(repository)
    monkeypatch.chdir(repository / folder)
    assert "nothing was written -> cd .. first" in init().output
    assert written(repository) == before


def test_an_absolute_folder_is_named_as_seen_from_the_root(repository) -> None:
    """The workflow runs on another machine."""
    (repository / "pytest.ini").write_text(f"[pytest]\nbenchmarks = {repository / 'evals'}\n")
    assert "  pytest evals -n 2\n" in init().output


def test_a_new_benchmarks_folder_of_a_repository_is_not_its_root(repository, monkeypatch) -> None:
    """What is empty yet is known by what lies round it; a repository may be called benchmarks, too."""
    (repository / ".git").mkdir()
    (repository / "benchmarks").mkdir()
    monkeypatch.chdir(repository / "benchmarks")
    assert init().output == (
        "error: this is the benchmarks folder itself; nothing was written -> cd .. first\n"
    )
    (repository / ".git").rmdir()
    assert init().exit_code == 0
