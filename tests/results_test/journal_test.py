"""What a process notes of the trial that it records."""

from harness.results.journal import CONNECTING, ENDED, File, Journal
from harness.results.recovery import notes


def noted(run):
    return [note for _, note in notes(run)]


def test_a_note_lives_as_long_as_its_trial(tmp_path):
    """Stage and agents are on the disk at once; at the end nothing is left."""
    journal = Journal(File(tmp_path, "1"))
    journal.begin("p/t/1")
    (note,) = noted(tmp_path)
    assert (note.trial, note.stage, note.agents) == ("p/t/1", CONNECTING, [])
    journal.agent("agent-1")
    journal.stage("attempt 1: coder")
    (note,) = noted(tmp_path)
    assert (note.stage, note.agents) == ("attempt 1: coder", ["agent-1"])
    journal.end(in_error=False)
    assert noted(tmp_path) == []


def test_agents_of_a_trial_that_failed_stay_noted(tmp_path):
    """Whoever could not be reached has not deleted them; later trials do not make one forget."""
    journal = Journal(File(tmp_path, "1"))
    for number, fails in enumerate((True, False, True), 1):
        journal.begin(f"p/t/{number}")
        journal.agent(f"agent-{number}")
        journal.end(in_error=fails)
    (note,) = noted(tmp_path)
    assert (note.stage, note.agents) == (ENDED, ["agent-1", "agent-3"])


def test_agents_of_a_trial_that_a_bug_ended_stay_noted(tmp_path):
    """Nothing told its end; the next trial's note names them too."""
    journal = Journal(File(tmp_path, "1"))
    journal.begin("p/t/1")
    journal.agent("agent-1")
    journal.begin("p/t/2")
    journal.agent("agent-2")
    (note,) = noted(tmp_path)
    assert (note.trial, note.agents) == ("p/t/2", ["agent-1", "agent-2"])
    journal.end(in_error=False)
    (note,) = noted(tmp_path)
    assert (note.stage, note.agents) == (ENDED, ["agent-1"])


def test_without_a_folder_nothing_is_noted(tmp_path, monkeypatch):
    """As in ``harness run``."""
    monkeypatch.chdir(tmp_path)
    journal = Journal()
    journal.begin("p/t/1")
    journal.agent("agent-1")
    journal.end(in_error=True)
    assert list(tmp_path.iterdir()) == []


def test_an_agent_whose_id_was_lost_is_looked_for(tmp_path):
    """Where an error came while it was made, the note says so still."""
    journal = Journal(File(tmp_path, "1"))
    journal.begin("p/t/1")
    journal.end(in_error=True)
    (note,) = noted(tmp_path)
    assert (note.trial, note.stage) == ("p/t/1", CONNECTING)
