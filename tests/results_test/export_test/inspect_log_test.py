"""harness/results/export/inspect_log.py: logs that Inspect opens."""

import json

import pytest
from rows import a_row, a_run, a_talk, an_infra_row

from harness.results.export.inspect_log import write_logs
from harness.results.run_folder import load_conversation

SPENT = {"kind": "spent", "attempt": 1, "role": "coder", "model": "code", "steps": 1}
USAGE = {"input": 3, "cache_write": 5, "cache_read": 7, "output": 11}


@pytest.fixture
def logs(tmp_path):
    """The logs of a run of two pairs, the first with a trial that could not be measured."""
    rows = [a_row("p"), a_row("p", "wrong", epoch=2, detail="3 != 4"), an_infra_row("p", epoch=3), a_row("q")]
    run = a_run(tmp_path / "run", rows)
    talk = a_talk()
    talk["events"][1]["arguments"] = "{'broken"
    returned = {"kind": "returned", "attempt": 1, "call_id": "c", "ok": False, "text": "error: no JSON"}
    tested = {"kind": "tested", "attempt": 1, "passed": True, "text": "1 passed"}
    talk["events"][4:4] = [SPENT | {"usage": USAGE}, returned]
    talk |= {"stop": "tool_call_limit", "events": [*talk["events"], tested]}
    (run / "transcripts/p/t/1.json").write_text(json.dumps(talk))
    texts = {"title": "", "spec": "The spec", "reference": "REF = 1\n", "acceptance": "", "bugs": []}
    (run / "tasks").mkdir()
    (run / "tasks/t.json").write_text(json.dumps(texts | {"code_file": "add.py", "test_file": "test_add.py"}))
    return write_logs(tmp_path / "logs", run, [load_conversation(run, row) for row in rows])


def test_there_is_a_log_for_each_pair(logs):
    """Its accuracy is of the trials that were measured; it names the models of each role."""
    first, second = (json.loads(path.read_text()) for path in logs)
    assert (first["eval"]["task"], second["eval"]["task"]) == ("p", "q")
    assert first["eval"]["model_roles"]["coder"] == {"model": "code"}
    assert first["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
    assert (first["results"]["total_samples"], first["results"]["completed_samples"]) == (3, 2)
    assert first["stats"]["model_usage"]["code"] == {
        "input_tokens": 3,
        "input_tokens_cache_write": 5,
        "input_tokens_cache_read": 7,
        "output_tokens": 11,
        "total_tokens": 26,
    }


def test_a_sample_holds_the_conversation(logs):
    """The orchestrator's messages; what coder, tester and tests said are events; the task is beside them."""
    made = json.loads(logs[0].read_text())["samples"][0]
    assert [message["role"] for message in made["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert "broken" in made["messages"][1]["tool_calls"][0]["parse_error"]
    assert made["messages"][2]["error"]["message"] == "error: no JSON"
    assert [event["source"] for event in made["events"]] == [
        "coder",
        "coder writes add.py",
        "generated tests",
    ]
    assert (made["input"], made["target"], made["limit"]["type"]) == ("The spec", "REF = 1\n", "custom")
    assert made["scores"]["solved"]["value"] == "C"


def test_what_was_not_measured_is_an_error_and_no_score(logs):
    """A wrong trial is incorrect, and says why."""
    _, wrong, broken = json.loads(logs[0].read_text())["samples"]
    assert (wrong["scores"]["solved"]["value"], wrong["scores"]["solved"]["explanation"]) == ("I", "3 != 4")
    assert broken["scores"] == {}
    assert broken["error"]["message"].startswith("stale_cassette")


def test_a_pair_of_which_nothing_was_measured_has_no_score(tmp_path):
    """It is there with its errors, and does not stop the export of the others."""
    run = a_run(tmp_path / "run", [an_infra_row("p")])
    (log,) = write_logs(tmp_path / "logs", run, [load_conversation(run, an_infra_row("p"))])
    assert json.loads(log.read_text())["results"]["scores"] == []


@pytest.mark.filterwarnings("default")
def test_inspect_reads_them(logs):
    """Inspect's own reader takes each log whole (`make interchange` installs it)."""
    inspect = pytest.importorskip("inspect_ai.log")
    first = inspect.read_eval_log(str(logs[0]))
    assert (first.status, first.results.scores[0].metrics["accuracy"].value) == ("success", 0.5)
    sample = first.samples[0]
    assert [message.role for message in sample.messages] == ["user", "assistant", "tool", "assistant"]
    assert sample.output.completion == "I am done."
    assert [event.event for event in sample.events] == ["info"] * 3
    assert sample.model_usage["code"].total_tokens == 26
    assert first.samples[2].error.message.startswith("stale_cassette")
