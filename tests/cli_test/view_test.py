"""harness/cli/view.py: harness view."""

import threading
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

from harness.cli import view
from harness.cli.main import main


def harness(*words):
    return CliRunner().invoke(main, words)


def test_the_page_is_served_on_loopback(runs, monkeypatch):
    """The page and nothing above its folder."""
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    harness("view", "old")
    said = []
    told = threading.Event()
    monkeypatch.setattr(view, "say", lambda line, **_: (said.append(line), told.set()))
    serving = threading.Thread(target=view._serve, args=(runs / "reports/old/report.html", 0), daemon=True)
    serving.start()
    assert told.wait(10)
    address = said[0].split(" ")[0]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as answer:
        assert b"<title>Run old</title>" in answer.read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(address.rsplit("/", 1)[0] + "/../new/trials.jsonl")


def test_the_page_and_the_tables_are_written_anew_and_opened(runs, monkeypatch):
    """From the records alone, at the prices of another day if asked for; in the browser, as a file."""
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    page = runs / "reports/old/report.html"
    page.write_text("")
    assert harness("view", "old", "--prices", "2026-06-01").exit_code == 0
    assert opened == [page.as_uri()]
    assert "Prices of 2026-06-01." in page.read_text()
    assert "Prices of 2026-06-01." in page.with_name("pairs.md").read_text()


def test_without_a_run_all_runs_are_listed_compared_and_opened(runs, monkeypatch):
    """Pages that are missing are written; the address is a file."""
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert harness("view").exit_code == 0
    index = runs / "reports/index.html"
    assert opened == [index.as_uri()]
    text = index.read_text()
    assert 'href="old/report.html"' in text
    assert (runs / "reports/old/report.html").is_file()


def test_a_static_export_holds_pages_alone(runs, tmp_path, monkeypatch):
    """What CI publishes: no records, no conversations in files, nothing that loads itself anew."""
    monkeypatch.setattr("webbrowser.open", lambda address: pytest.fail("nothing is opened"))
    site = tmp_path / "site"
    result = harness("view", "--export", str(site))
    assert result.exit_code == 0, result.output
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert "index.html" in files
    assert {name.rpartition("/")[2] for name in files} == {"index.html", "report.html"}
    assert harness("view", "old", "--export", str(site)).exit_code == 2


def test_a_run_that_cannot_be_read_is_named(runs, tmp_path, monkeypatch):
    """The pages hold the others, and nobody looks for it in vain."""
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    (runs / "reports/old/trials.jsonl").write_text("nonsense\n")
    for arguments in (["--export", str(tmp_path / "site")], []):
        result = harness("view", *arguments)
        assert result.exit_code == 0
        assert "left out: reports/old/trials.jsonl:1" in result.output.replace(f"{runs}/", "")


def test_without_any_run_there_is_one_line(tmp_path, monkeypatch):
    """And what to do."""
    monkeypatch.chdir(tmp_path)
    result = harness("view")
    assert result.exit_code == 2
    assert "run `pytest benchmarks` first" in result.output
