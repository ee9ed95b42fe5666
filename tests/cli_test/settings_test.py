"""What the command takes from pytest's configuration."""

import os

import pytest
from click.testing import CliRunner

from harness.cli.main import main
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
