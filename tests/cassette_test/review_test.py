"""harness/cassette/review.py and its commands: what was refused is seen, accepted or discarded."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cassette import unsaved
from harness.cassette.exchange import Exchange
from harness.cassette.file import Cassette, load
from harness.cassette.review import save_or_keep
from harness.cli.main import main
from harness.errors import UnsafeCassette
from harness.redact.allowed import NAME, digest

KEY = "ghp_" + "aB3" * 12
VALUE = "hunter2-hunter2-hunter2"
DISPLAY = "cassettes/p/t/1.json"
AROUND = f"the example of the documentation is {KEY}, says the manual"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with an empty cassettes folder, and the user's cache beside it."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/cassettes").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    return tmp_path / "repo"


def a_cassette(text):
    answer = json.dumps({"content": [{"text": text}]}).encode()
    exchange = Exchange("POST", "http://claude/v1/messages", {}, b"{}", 200, {}, answer)
    return Cassette("p/t/1", "0" * 64, "0" * 64, {"at": "2026-11-26"}, (exchange,))


def refuse(repository, text=AROUND, slug="p/t/1"):
    with pytest.raises(UnsafeCassette) as error:
        save_or_keep(a_cassette(text), repository / f"cassettes/{slug}.json", f"cassettes/{slug}.json")
    return error.value


def harness(*arguments):
    done = CliRunner().invoke(main, ["cassettes", *arguments])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def test_what_is_refused_waits_and_the_message_says_how_to_go_on(repository):
    """Neither the repository nor the message holds it; the commands of the remedy are those that work."""
    error = refuse(repository)
    assert not (repository / DISPLAY).exists()
    assert KEY not in str(error)
    assert "harness cassettes refused p/t/1" in error.remedy
    assert [each.target for each in unsaved.waiting()] == [str(repository / DISPLAY)]


def test_those_of_another_repository_are_named_and_left_alone(repository, tmp_path, monkeypatch):
    """One cache serves them all; `--discard` takes what was recorded here."""
    refuse(repository)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert harness("refused", "--discard") == (0, "")
    code, said = harness("refused")
    assert (code, said) == (0, f"0 recordings wait\nmore wait for {repository}: run this there\n")
    monkeypatch.chdir(repository)
    assert harness("refused")[0] == 1


def test_the_finding_is_shown_in_its_context_masked(repository):
    """Place, kind, the words around it, how it begins and how long it is; not itself."""
    refuse(repository)
    code, said = harness("refused", "p/t/1")
    assert (code, KEY not in said) == (1, True)
    assert "$.exchanges[0].response.content[0].text: what looks like a GitHub token" in said
    assert "the example of the documentation is [ghp_…, 40 characters], says the manual" in said
    assert "1 recording waits" in said


def test_of_a_variables_value_nothing_is_shown(repository, monkeypatch):
    """Not even its beginning; nor of what stands next to it."""
    monkeypatch.setenv("A_TOKEN", VALUE)
    refuse(repository, f"a {VALUE} {KEY} b")
    _, said = harness("refused")
    assert "the value of A_TOKEN" in said
    assert VALUE[:7] not in said
    assert "[…, 23 characters] <secret> b" in said


def test_what_is_accepted_is_saved_with_the_reason_in_the_allow_list(repository):
    """Without another run; the next check and the next recording of it pass, another key is refused."""
    refuse(repository)
    code, said = harness("accept", "p/t/1", "--reason", "the example of GitHub's documentation")
    assert (code, "1 entry added" in said) == (0, True)
    assert KEY in (repository / DISPLAY).read_text()
    assert load(repository / DISPLAY, DISPLAY).trial == "p/t/1"
    listed = (repository / "cassettes" / NAME).read_text()
    assert digest(KEY) in listed
    assert 'reason = "the example of GitHub\'s documentation"' in listed
    assert list(unsaved.waiting()) == []
    assert "secret" not in harness("list")[1]
    save_or_keep(a_cassette(f"again: {KEY}"), repository / DISPLAY, DISPLAY)
    refuse(repository, f"other: {KEY.replace('3', '4')}")
    assert "expected [[allow]]" not in harness("refused")[1]


def test_a_reason_that_holds_a_secret_is_refused(repository):
    """It would stand in the repository."""
    refuse(repository)
    code, said = harness("accept", "p/t/1", "--reason", f"an example as {KEY.replace('3', '4')}")
    assert code == 2
    assert said == "error: --reason holds what looks like a secret -> describe it in other words\n"
    assert not (repository / DISPLAY).exists()


def test_one_reason_serves_for_several_recordings(repository):
    """All whose path holds the name; what is listed already is not listed again."""
    refuse(repository, slug="p/t/1")
    refuse(repository, slug="p/t/2")
    refuse(repository, slug="q/t/1")
    code, said = harness("accept", "p/t", "--reason", "an example")
    assert (code, said.count("saved")) == (0, 2)
    assert (repository / "cassettes" / NAME).read_text().count("sha256 =") == 1
    assert len(list(unsaved.waiting())) == 1


def test_a_key_of_a_variable_is_not_accepted_where_the_variable_is_not_set(repository, monkeypatch):
    """A shell without the key must not let the key through."""
    monkeypatch.setenv("A_TOKEN", VALUE)
    refuse(repository, f"a {VALUE} b")
    monkeypatch.delenv("A_TOKEN")
    code, said = harness("accept", "p/t/1", "--reason", "it looks harmless")
    assert (code, "the value of A_TOKEN" in said) == (2, True)
    assert not (repository / DISPLAY).exists()
    assert not (repository / "cassettes" / NAME).exists()


def test_a_newer_recording_is_not_overwritten(repository):
    """Recorded again in the meantime: what waits is the older."""
    refuse(repository)
    save_or_keep(a_cassette("harmless"), repository / DISPLAY, DISPLAY)
    waiting = next(unsaved.waiting())
    os.utime(waiting.path, (1, 1))
    code, said = harness("accept", "p/t/1", "--reason", "an example")
    assert (code, "was recorded again since" in said) == (2, True)
    assert KEY not in (repository / DISPLAY).read_text()


def test_what_would_not_replay_is_shown_and_cannot_be_accepted(repository):
    """A review does not make it replay."""
    unsaved.keep(repository / DISPLAY, "text", "replay", "2026-11-26", ["another answer"])
    assert "another answer" in harness("refused")[1]
    code, said = harness("accept", "p/t/1", "--reason", "an example")
    assert (code, "it would not replay" in said) == (2, True)


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, "\ud800"])
def test_a_damaged_recording_is_told_and_discarded(repository, text):
    """In one line; the others are shown all the same."""
    unsaved.keep(repository / DISPLAY, text, "secret", "2026-11-26", [])
    refuse(repository, slug="p/t/2")
    said = harness("refused")[1]
    assert "damaged" in said
    assert "ghp_…" in said
    assert harness("refused", "p/t/1", "--discard")[0] == 0
    assert len(list(unsaved.waiting())) == 1


def test_wrong_arguments_are_errors_of_one_line(repository):
    """An unknown name, no reason, an empty reason, a broken list."""
    refuse(repository)
    assert harness("refused", "nothing/like/it") == (
        2,
        f"error: no recording 'nothing/like/it' waits -> waiting: {DISPLAY}\n",
    )
    assert harness("accept", "p/t/1")[0] == 2
    assert harness("accept", "p/t/1", "--reason", " ")[0] == 2
    (repository / "cassettes" / NAME).write_text("[[allow")
    assert harness("accept", "p/t/1", "--reason", "an example")[0] == 2
    assert not Path(DISPLAY).exists()


def test_without_a_place_outside_of_the_repository_it_is_refused_as_ever(repository, monkeypatch):
    """Nothing is kept in the repository, and the message promises nothing."""
    monkeypatch.setenv("HARNESS_HOME", str(repository / "home"))
    error = refuse(repository)
    assert "harness cassettes accept" not in error.remedy
    assert not (repository / "home").exists()
