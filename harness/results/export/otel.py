"""Export a run as OpenTelemetry spans, in the JSON encoding of OTLP: one trace for each trial.

Names and attributes are those of the semantic conventions for generative AI of autumn 2026 (status:
development; https://github.com/open-telemetry/semantic-conventions-genai). The hidden tests' result is an
event ``gen_ai.evaluation.result`` of the trial's span.

    invoke_workflow PAIR                     the trial; ERROR if it says nothing about the models
    └── invoke_agent orchestrator            an attempt
        ├── chat MODEL                       an answer of the orchestrator, with its tokens
        └── execute_tool run_claude_coder
            └── chat MODEL                   an answer of the coder

Not covered: times of single steps, which no recording has. A trial's span begins at midnight (UTC) of the day
of recording and is as long as the trial took; the spans in it have no length, and stand in their order, a
microsecond apart (``pair_harness.timed`` is false).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.agents.transcript import Called, Event, Returned, Said, Spent
from harness.files import write_whole
from harness.results.run_folder import Conversation

Json = dict[str, Any]
SECOND, STEP = 1_000_000_000, 1_000  # nanoseconds
INTERNAL, CLIENT = 1, 3  # kinds of spans
ERROR = 2  # a status
PROVIDERS = {  # the conventions' names; others stand as they are
    "google_ai": "gcp.gemini",
    "google_vertex": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
BACKENDS = {"anthropic": "anthropic", "claude-code": "anthropic"}


def write_spans(path: Path, run: str, trials: Sequence[Conversation]) -> None:
    """Write the spans of all trials as one OTLP request, which any collector takes as a file."""
    resource = {
        "service.name": "pair-harness",
        "service.version": version("pair-harness"),
        "pair_harness.run": run,
    }
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [
                    {
                        "scope": {"name": "pair-harness", "version": version("pair-harness")},
                        "spans": [span for trial in trials for span in spans(run, trial)],
                    }
                ],
            }
        ]
    }
    write_whole(path, json.dumps(body, ensure_ascii=False, indent=1) + "\n")


@dataclass
class Span:
    """A span that is being made; ``attributes`` are plain values."""

    name: str
    kind: int
    start: int
    attributes: Json
    parent: Span | None = None
    end: int = 0
    error: str = ""
    events: list[Json] = field(default_factory=list)


def spans(run: str, trial: Conversation) -> Iterator[Json]:
    """Yield the spans of a trial, its own first."""
    row = trial.row
    day = datetime.fromisoformat(row["recorded_at"] or "1970-01-01").replace(tzinfo=UTC)
    root = Span(f"invoke_workflow {row['pair']}", INTERNAL, int(day.timestamp()) * SECOND, _of_trial(row))
    root.end = root.start + int((row["recorded_wall_s"] or 0) * SECOND)
    if row["kind"] == "infra":
        root.error, root.attributes["error.type"] = row["detail"] or row["outcome"], row["outcome"]
    else:
        evaluation = {
            "gen_ai.evaluation.name": "hidden_acceptance_tests",
            "gen_ai.evaluation.score.value": float(row["outcome"] == "solved"),
            "gen_ai.evaluation.score.label": row["outcome"],
            "gen_ai.evaluation.explanation": row["detail"],
        }
        root.events.append(
            {
                "name": "gen_ai.evaluation.result",
                "timeUnixNano": str(root.end),
                "attributes": _attributes(evaluation),
            }
        )
    trace = _hex(run, row["trial"])[:32]
    for span in (root, *_inner_spans(root, trial)):
        span.attributes["pair_harness.timed"] = span is root
        yield _to_json(span, trace)


def _inner_spans(root: Span, trial: Conversation) -> Iterator[Span]:
    """Yield attempts, tool calls and answers of models, in their order."""
    row, clock = trial.row, root.start
    attempt: Span | None = None
    calls: dict[str, Span] = {}
    tool: Span | None = None
    for event in trial.transcript.events:
        clock += STEP
        if attempt is None or attempt.attributes["pair_harness.attempt"] != event.attempt:
            attempt, tool = (
                Span("invoke_agent orchestrator", INTERNAL, clock, _of_attempt(row, event), root),
                None,
            )
            yield attempt
        if isinstance(event, Called):
            tool = calls[event.call_id] = Span(
                f"execute_tool {event.tool}", INTERNAL, clock, _of_call(event), attempt
            )
            yield tool
        elif isinstance(event, Returned) and (known := calls.get(event.call_id)):
            known.attributes["gen_ai.tool.call.result"] = event.text
            known.end, tool = clock, None
            if not event.ok:
                known.error, known.attributes["error.type"] = event.text, "tool_error"
        elif isinstance(event, Spent):
            is_inner = event.role != "orchestrator" and tool is not None
            yield Span(
                f"chat {event.model}", CLIENT, clock, _of_answer(row, event), tool if is_inner else attempt
            )
        elif isinstance(event, Said):
            _add_text(tool if event.speaker in ("coder", "tester") and tool else attempt, event)


def _of_trial(row: Json) -> Json:
    names = (
        "task",
        "pair",
        "epoch",
        "difficulty",
        "tags",
        "outcome",
        "attempts",
        "tool_calls",
        "tool_errors",
        "cost",
    )
    own = {f"pair_harness.{name}": row[name] for name in names if row.get(name) is not None}
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": row["pair"],
        "gen_ai.conversation.id": row["trial"],
        **own,
    }


def _of_attempt(row: Json, event: Event) -> Json:
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": _provider(row["orchestrator"]),
        "gen_ai.agent.name": "orchestrator",
        "gen_ai.request.model": row["orchestrator"],
        "gen_ai.conversation.id": row["trial"],
        "pair_harness.attempt": event.attempt,
    }


def _of_call(event: Called) -> Json:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": event.tool,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": event.call_id,
        "gen_ai.tool.call.arguments": event.arguments,
    }


def _of_answer(row: Json, event: Spent) -> Json:
    """Return what an answer used; the conventions count tokens of caches among the input."""
    used = event.usage
    is_orchestrator = event.role == "orchestrator"
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider(event.model)
        if is_orchestrator
        else BACKENDS.get(row["backend"], row["backend"]),
        "gen_ai.request.model": event.model,
        "gen_ai.agent.name": event.role,
        "gen_ai.conversation.id": row["trial"],
        "gen_ai.usage.input_tokens": used.prompt,
        "gen_ai.usage.output_tokens": used.output,
        "gen_ai.usage.cache_read.input_tokens": used.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": used.cache_write,
        "pair_harness.requests": event.steps,
    }


def _add_text(span: Span | None, event: Said) -> None:
    """Add a message to the input or output of the span that it belongs to."""
    if span is None:
        return
    name = "gen_ai.input.messages" if event.speaker == "user" else "gen_ai.output.messages"
    part = {"type": "reasoning" if event.thinking else "text", "content": event.text}
    messages = span.attributes.setdefault(name, [])
    messages.append({"role": "user" if event.speaker == "user" else "assistant", "parts": [part]})


def _provider(handle: str) -> str:
    """Return the conventions' name for the provider of a Letta handle; ``direct`` has none of its own."""
    name, slash, _ = handle.partition("/")
    return PROVIDERS.get(name, name) if slash else "pair_harness"


def _to_json(span: Span, trace: str) -> Json:
    made: Json = {
        "traceId": trace,
        "spanId": _span_id(span, trace),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end or span.start),
        "attributes": _attributes(span.attributes),
        "status": {"code": ERROR, "message": span.error[:1000]} if span.error else {},
    }
    if span.parent is not None:
        made["parentSpanId"] = _span_id(span.parent, trace)
    if span.events:
        made["events"] = span.events
    return made


def _span_id(span: Span, trace: str) -> str:
    return _hex(trace, span.name, str(span.start))[:16]


def _hex(*names: str) -> str:
    """Return an id that is the same at each export."""
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).hexdigest()


def _attributes(values: Json) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: object) -> Json:
    """Return a value in OTLP's words; 64-bit integers are texts there, structures are JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
