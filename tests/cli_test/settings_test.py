"""What the command takes from pytest's configuration."""

import importlib.util
import os
from pathlib import Path

import pytest
from _pytest.config.findpaths import locate_config
from click.testing import CliRunner

from harness.cli.main import main
from harness.cli.run import session
from harness.cli.settings import benchmarks_folder

INI = "[{}]\nbenchmarks = evals\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\nbenchmarks = "evals"\n'),
        ("pyproject.toml", '[tool.pytest]\nbenchmarks = "evals"\n'),
        ("pytest.toml", '[pytest]\nbenchmarks = "evals"\n'),
        ("pytest.ini", INI.format("pytest")),
        ("tox.ini", INI.format("pytest")),
        ("setup.cfg", INI.format("tool:pytest")),
    ],
)
def test_the_folder_of_task_files_is_that_of_pytest(name, text, tmp_path, monkeypatch):
    """Wherever pytest reads it; a price there holds for both, and `validate` looks there."""
    (tmp_path / name).write_text(text)
    assert benchmarks_folder(tmp_path) == tmp_path / "evals"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals/add.yaml").write_text("id: [\n")
    result = CliRunner().invoke(main, ["validate"])
    assert "evals/add.yaml:" in result.output
    (tmp_path / "evals/pairs.yaml").write_text("pairs: {one: {orchestrator: {model: m}, coder: c}}\n")
    result = CliRunner().invoke(main, ["run", "x", "--file", "x.py", "--workspace", "w", "--pair", "two"])
    assert "no pair 'two' in evals/pairs.yaml" in result.output


def test_a_run_and_a_cluster_take_that_folder_too(tmp_path, monkeypatch):
    """For prices, and as what is run where no path is given."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nbenchmarks = evals\n")
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(session, "execute", lambda *given: seen.append(given[-1]))
    wanted = ["run", "x", "--file", "x.py", "--workspace", "w", "--orchestrator", "m", "--coder", "c"]
    CliRunner().invoke(main, wanted)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(os, "execv", lambda _, command: seen.append(command[3]))
    CliRunner().invoke(main, ["cluster-run", "-q"])
    assert seen == [Path("evals"), "evals"]


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("pytest.ini", "[pytest]\naddopts = -q\n", True),
        ("pytest.toml", "", True),
        ("setup.cfg", "[metadata]\nname = x\n", False),
        ("tox.ini", "[tox]\n", False),
    ],
)
def test_the_first_file_that_pytest_takes_is_the_only_one(name, text, counts, tmp_path):
    """A setting in another is none to pytest either."""
    (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nbenchmarks = "evals"\n')
    _, taken, *_ = locate_config(tmp_path, [tmp_path])
    assert taken is not None
    assert (taken.name == name) is counts
    assert benchmarks_folder(tmp_path).name == ("benchmarks" if counts else "evals")


@pytest.mark.parametrize("text", ["", "[pytest]\n", "[tool:pytest\n", "\0", "[pytest]\nbenchmarks =\n"])
def test_without_the_setting_it_is_the_folder_of_that_name(text, tmp_path):
    """So it is where the file is damaged: pytest says so."""
    (tmp_path / "pytest.ini").write_text(text)
    (tmp_path / "pyproject.toml").write_text("tool = {pytest = 5}\n")
    assert benchmarks_folder(tmp_path) == tmp_path / "benchmarks"


def test_a_folder_that_is_not_there_is_refused(tmp_path, monkeypatch):
    """Else the tables would have no prices, without a word."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["report", "latest", "--benchmarks", "nope"])
    assert result.exit_code == 2
    assert "'nope': no such folder" in result.output


def test_a_proxy_is_spared_by_every_command(tmp_path, monkeypatch):
    """Servers on this machine are asked directly, whatever the environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "intra")
    CliRunner().invoke(main, ["runs"])
    assert os.environ["no_proxy"] == "intra,localhost,127.0.0.1,::1"
