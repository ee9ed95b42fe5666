"""Files that are whole, whoever is killed at writing them."""

import errno
import multiprocessing
import os

import pytest

from harness.files import append_line, write_whole


def test_a_line_that_a_killed_process_left_half_is_cut_off(tmp_path):
    """The next line does not end up behind it; whole lines stay, however long the half is."""
    path = tmp_path / "rows.jsonl"
    for half in ("", "ha", "x" * 10_000):
        path.write_text(f"one\n{'y' * 5000}\n{half}")
        append_line(path, "two")
        assert path.read_text() == f"one\n{'y' * 5000}\ntwo\n"
    path.write_text("z" * 9000)
    append_line(path, "two")
    assert path.read_text() == "two\n"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """What was written of the line before the disk was full goes away again."""
    path, real = tmp_path / "rows.jsonl", os.write
    append_line(path, "one")
    room = [7]

    def write(handle, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        data, room[0] = data[: room[0]], 0
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        append_line(path, "a longer line")
    assert path.read_text() == "one\n"


def append(path, name):
    for number in range(200):
        append_line(path, f"{name}{number}".ljust(5000, "."))


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    """A full disk names none by itself, and people have several."""
    path = tmp_path / "cassette.json"

    def parts():
        yield "one"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"cassette\.json"):
        write_whole(path, parts())
    assert list(tmp_path.iterdir()) == []


def test_processes_append_at_once(tmp_path):
    """Every line of every process is there, whole."""
    path = tmp_path / "rows.jsonl"
    processes = [multiprocessing.Process(target=append, args=(path, name)) for name in "ab"]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    lines = path.read_text().splitlines()
    assert {len(line) for line in lines} == {5000}
    assert sorted(line.rstrip(".") for line in lines) == sorted(f"{n}{i}" for n in "ab" for i in range(200))
