"""The runs of several machines, put together."""

import json

import pytest
from rows import a_row, a_run, an_infra_row, many, with_two_memories

from harness.errors import UsageError
from harness.results.merge import merge


def merged(tmp_path, *runs):
    paths = [a_run(tmp_path / f"run{n}", rows) / "trials.jsonl" for n, rows in enumerate(runs)]
    folder = tmp_path / "reports" / "whole"
    given = merge(paths, folder)
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return folder, rows, [given[path] for path in paths]


def test_the_parts_of_a_run_are_the_run(tmp_path):
    """Every record is there once and as it was, with its conversation; nothing else is left behind."""
    rows = many("a", 3)
    folder, whole, given = merged(tmp_path, rows[:8], rows[8:])
    assert whole == rows
    assert given == [8, 12]
    assert len(list(folder.glob("transcripts/a/*/1.json"))) == 20
    assert [path.name for path in folder.parent.iterdir()] == ["whole"]


def test_the_texts_of_a_task_come_along(tmp_path):
    """Once, from whichever run kept them."""
    one, other = (a_run(tmp_path / name, [a_row(epoch=n)]) for n, name in enumerate("ab", start=1))
    (other / "tasks").mkdir()
    (other / "tasks/t.json").write_text("{}")
    merge([one / "trials.jsonl", other / "trials.jsonl"], tmp_path / "whole")
    assert (tmp_path / "whole/tasks/t.json").read_text() == "{}"


def test_steps_of_a_course_differ_by_epoch(tmp_path):
    """The values of its conventions are others in each: that is no other state of the repository."""
    one, two = (with_two_memories(1, task_digest=f"d{n}") for n in (1, 2))
    for row in two:
        row |= {"epoch": 2, "trial": row["trial"].replace("/1", "/2")}
    assert merged(tmp_path / "1", one, two)[2] == [6, 6]
    with pytest.raises(UsageError, match=r"task shop\.1\.t\[1\]: another"):
        merged(tmp_path / "2", one[:1], [{**one[0], "task_digest": "other"}])


def test_a_measured_trial_stands_before_an_infra_error(tmp_path):
    """Whichever run is named first; of two infra errors the later stands."""
    measured, stale, lost = a_row(), an_infra_row(), an_infra_row(outcome="api_error")
    assert merged(tmp_path / "1", [stale], [measured])[1] == [measured]
    assert merged(tmp_path / "2", [measured], [stale])[1] == [measured]
    assert merged(tmp_path / "3", [stale], [lost])[1] == [lost]


def test_the_same_result_twice_counts_once(tmp_path):
    """Two replays of a trial are no further evidence; nor is a trial that was run again in one run."""
    assert merged(tmp_path / "1", [a_row()], [a_row()])[1:] == ([a_row()], [1, 0])
    assert merged(tmp_path / "2", [a_row(outcome="wrong"), a_row()])[1] == [a_row()]
    live = a_row(mode="live")
    assert merged(tmp_path / "3", [live], [a_row()])[1] == [live], "a recording, and its replay"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "wrong", "kind": "model"}, "p/t/1: another result in "),
        ({"task_digest": "e", "epoch": 2}, "task t: another in "),
        ({"coder": "other", "epoch": 2}, "pair p: another in "),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(tmp_path, change, said):
    """One line names what differs and both runs; nothing is written."""
    with pytest.raises(UsageError) as caught:
        merged(tmp_path, [a_row()], [a_row(**change)])
    assert caught.value.message == f"{said}{tmp_path / 'run0'} and {tmp_path / 'run1'}"
    assert not (tmp_path / "reports").exists()


def test_a_run_without_its_conversations_is_refused(tmp_path):
    """An artifact of records alone: one line, and no folder that looks like a run."""
    run = a_run(tmp_path / "run", [a_row()])
    (run / "transcripts" / "p" / "t" / "1.json").unlink()
    with pytest.raises(UsageError, match="1.json: not there -> copy the whole folder"):
        merge([run / "trials.jsonl"], tmp_path / "reports" / "whole")
    assert list((tmp_path / "reports").iterdir()) == []
