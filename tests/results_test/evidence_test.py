"""harness/results/evidence.py: what a verdict rests on stands beside the transcript."""

from harness.results.run_folder import RunFolder, find_conversations, load_texts, report_payload
from harness.runner import run_trial

TESTS = (
    "from add import add\n\n\ndef test_adds():\n    assert add(2, 0) == 2\n\n\n"
    "def test_zero():\n    assert add(0, 0) == 0\n"
)


def test_each_test_and_bug_of_a_trial_can_be_read_back(trial, recording, claude, letta, tmp_path):
    """Results of the hidden tests by name, of the tester's file on code, reference and each known bug."""
    claude.code = "def add(a, b):\n    return a\n"
    claude.tests = TESTS
    result = run_trial(trial, recording)
    payload = report_payload(result.record.row(), result.transcript, result.files, result.verdict, trial.task)
    run = RunFolder(tmp_path / "r")
    run.add(payload)
    (found,) = find_conversations(tmp_path, run.path.name, trial.task.id)
    assert found.grades == payload["conversation"]["grades"]
    hidden = found.grades["acceptance"]
    assert len(hidden) == result.record.acceptance_tests
    failed = [test for test in hidden if test["outcome"] != "passed"]
    assert len(hidden) - len(failed) == result.record.acceptance_passed
    assert failed
    assert all(test["text"] for test in failed)
    results = [bug["result"] for bug in found.grades["on_bugs"]]
    assert results.count("caught") == result.record.bugs_caught
    assert results.count("accepted") == result.record.bugs_accepted
    texts = load_texts(run.path, trial.task.id)
    assert texts["reference"] == trial.task.reference
    assert [bug["name"] for bug in texts["bugs"]] == [bug["name"] for bug in found.grades["on_bugs"]]


def test_a_run_of_an_earlier_version_has_none(tmp_path):
    """Without the folder, or with a damaged file in it, there are no texts, and nothing breaks."""
    assert load_texts(tmp_path, "add") is None
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/add.json").write_text('{"title": 3}')
    assert load_texts(tmp_path, "add") is None
