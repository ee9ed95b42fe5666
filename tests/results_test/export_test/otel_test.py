"""harness/results/export/otel.py: OpenTelemetry spans of a run."""

import json

import pytest
from rows import a_row, a_run, a_talk, an_infra_row

from harness.results.export.otel import write_spans
from harness.results.run_folder import load_conversation

CALL = {"kind": "called", "attempt": 1, "call_id": "c", "tool": "run_claude_coder", "arguments": "{}"}
USAGE = {"input": 3, "cache_write": 5, "cache_read": 7, "output": 11}


def spent(role):
    return {"kind": "spent", "attempt": 1, "role": role, "model": f"m-{role}", "usage": USAGE, "steps": 2}


@pytest.fixture
def body(tmp_path):
    """The spans of a run: a trial with answers and a call that failed, and one that was not measured."""
    rows = [a_row(orchestrator="google_ai/g", backend="anthropic"), an_infra_row(epoch=2)]
    run = a_run(tmp_path / "run", rows)
    returned = {"kind": "returned", "attempt": 1, "call_id": "c", "ok": False, "text": "no file"}
    events = [a_talk()["events"][0], spent("orchestrator"), CALL, spent("coder"), returned]
    again = {"kind": "said", "attempt": 2, "speaker": "orchestrator", "text": "Hm.", "thinking": True}
    talk = {"stop": "done", "files": {}, "events": [*events, again]}
    (run / "transcripts/p/t/1.json").write_text(json.dumps(talk))
    path = tmp_path / "spans.json"
    write_spans(path, "run", [load_conversation(run, row) for row in rows])
    return json.loads(path.read_text())


def spans_of(body):
    return body["resourceSpans"][0]["scopeSpans"][0]["spans"]


def attributes(item):
    return {each["key"]: next(iter(each["value"].values())) for each in item["attributes"]}


def test_spans_are_nested_as_the_trial_went(body):
    """Attempts in the trial, calls in the attempt, the coder's answer in the call."""
    spans = [span for span in spans_of(body) if span["traceId"] == spans_of(body)[0]["traceId"]]
    names = {span["spanId"]: span["name"] for span in spans}
    assert len(names) == len(spans)
    assert [(span["name"], names.get(span.get("parentSpanId"))) for span in spans] == [
        ("invoke_workflow p", None),
        ("invoke_agent orchestrator", "invoke_workflow p"),
        ("chat m-orchestrator", "invoke_agent orchestrator"),
        ("execute_tool run_claude_coder", "invoke_agent orchestrator"),
        ("chat m-coder", "execute_tool run_claude_coder"),
        ("invoke_agent orchestrator", "invoke_workflow p"),
    ]


def test_attributes_are_those_of_the_conventions(body):
    """Tokens of caches are part of the input; a failed call is an error; the verdict is an evaluation."""
    root, attempt, _, call, answer, again = spans_of(body)[:6]
    used = attributes(answer)
    assert used["gen_ai.provider.name"] == "anthropic"
    assert (used["gen_ai.usage.input_tokens"], used["gen_ai.usage.output_tokens"]) == ("15", "11")
    assert attributes(attempt)["gen_ai.provider.name"] == "gcp.gemini"
    assert (call["status"]["code"], attributes(call)["error.type"]) == (2, "tool_error")
    result = attributes(root["events"][0])
    assert (result["gen_ai.evaluation.score.value"], result["gen_ai.evaluation.score.label"]) == (
        1.0,
        "solved",
    )
    assert json.loads(attributes(again)["gen_ai.output.messages"])[0]["parts"][0]["type"] == "reasoning"


def test_only_what_was_measured_has_a_length(body):
    """The trial's seconds, from the day of recording; steps have none and say so."""
    root, *inner = spans_of(body)[:6]
    assert int(root["endTimeUnixNano"]) - int(root["startTimeUnixNano"]) == 1_500_000_000
    assert int(root["startTimeUnixNano"]) == 1_767_225_600_000_000_000
    assert [attributes(span)["pair_harness.timed"] for span in inner] == [False] * 5


def test_what_was_not_measured_is_an_error_without_evaluation(body):
    """An infra outcome is the span's error type."""
    root = next(span for span in spans_of(body)[1:] if span["name"] == "invoke_workflow p")
    assert attributes(root)["error.type"] == "stale_cassette"
    assert root["status"]["code"] == 2
    assert "events" not in root


def test_opentelemetry_parses_them(body):
    """The file is an OTLP request, by OpenTelemetry's own definition (`make interchange` installs it)."""
    trace = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    from google.protobuf import json_format

    parsed = json_format.ParseDict(body, trace.TracesData())
    assert len(parsed.resource_spans[0].scope_spans[0].spans) == len(spans_of(body))
