"""harness/cassette/unsaved.py: what was paid for and not saved is not lost, and never in the repository."""

import stat
from pathlib import Path

import pytest

from harness.cassette import unsaved

AT = "2026-11-26"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's cache folder, beside the repository."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def target(tmp_path):
    """Where a cassette was to be written."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    return tmp_path / "repo/cassettes/p/t/1.json"


def test_a_recording_waits_until_it_is_discarded(home, target):
    """It comes back as it was kept, half surrogates and all; a second recording of the trial replaces it."""
    unsaved.keep(target, "an older text", "replay", AT, [])
    path = unsaved.keep(target, "text \ud800\n", "secret", AT, ["$.a: a key"])
    (kept,) = unsaved.waiting()
    assert (kept.target, kept.text, kept.why) == (str(target), "text \ud800\n", "secret")
    assert (kept.found, kept.at, kept.path) == (("$.a: a key",), AT, str(path))
    unsaved.discard(kept)
    assert list(unsaved.waiting()) == []


def test_nobody_else_can_read_it(home, target):
    """The file has mode 0600, its folder 0700, also where the folder was there before."""
    (home / "unsaved").mkdir(parents=True, mode=0o755)
    path = unsaved.keep(target, "text", "secret", AT, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("place", ["repo/cache", "link/cache"])
def test_nothing_is_kept_in_the_repository(tmp_path, target, monkeypatch, place):
    """A cache folder below the repository, also by a link, would be committed one day."""
    (tmp_path / "link").symlink_to(tmp_path / "repo")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / place))
    assert unsaved.keep(target, "text", "secret", AT, []) is None
    assert not (tmp_path / "repo/cache").exists()


def test_a_folder_that_cannot_be_made_is_no_exception(tmp_path, target, monkeypatch):
    """A full or read-only disk must not replace the message of why the recording was not saved."""
    (tmp_path / "file").write_text("")
    for named in (str(tmp_path / "file"), "~nobody-of-this-name/home"):
        monkeypatch.setenv("HARNESS_HOME", named)
        assert unsaved.keep(target, "text", "secret", AT, []) is None


def test_what_is_no_recording_is_passed_over(home, target):
    """Damaged files, links and folders in the cache are nobody's error."""
    kept = unsaved.keep(target, "text", "secret", AT, [])
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"target": 1}'), ("d", "[" * 100_000)):
        (kept.parent / f"{name}.json").write_text(text)
    (kept.parent / "e.json").symlink_to(kept)
    (kept.parent / "f.json").mkdir()
    assert [each.path for each in unsaved.waiting()] == [str(kept)]


def test_without_a_name_the_users_cache_folder_is_used(monkeypatch):
    """The same home as the embedded stack's."""
    monkeypatch.delenv("HARNESS_HOME", raising=False)
    assert unsaved.folder().parts[-2:] == ("pair-harness", "unsaved")
    assert unsaved.folder() != Path.cwd()
