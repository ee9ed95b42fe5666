"""Export a run as logs of Inspect (inspect_ai): one for each pair, a sample for each trial.

The format is Inspect's JSON log, version 2, which it reads in all versions since 0.3; it is written without
inspect_ai, which is 325 MB. A sample's messages are the orchestrator's conversation; what coder and tester
answered, the files that they wrote and the test runs are events.

Not covered: times of single steps, which no recording has. Each event stands at the start of its trial.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.agents.transcript import (
    ROLES,
    Called,
    Event,
    Fault,
    Returned,
    Said,
    Tested,
    Usage,
    Wrote,
)
from harness.files import write_whole
from harness.results.columns import SETTINGS
from harness.results.run_folder import Conversation, load_texts

Json = dict[str, Any]
MIDNIGHT = "T00:00:00+00:00"  # a recording keeps its day
LIMITS = {"tool_call_limit": "custom", "step_limit": "turn", "token_limit": "token"}
GRADES = ("generated_passed", "tests_valid", "acceptance_fraction", "bugs_caught", "bugs_total", "cost")


def write_logs(folder: Path, run: Path, trials: Sequence[Conversation]) -> list[Path]:
    """Write a log for each pair into a folder, and return the files.

    Args:
        folder: Where the logs go.
        run: The run's folder, with the texts of its tasks.
        trials: Its trials, whose rows have costs.
    """
    of_pair: dict[str, list[Conversation]] = defaultdict(list)
    for trial in trials:
        of_pair[trial.row["pair"]].append(trial)
    paths = []
    for pair, own in of_pair.items():
        path = folder / f"{run.name}_{pair}.json"
        write_whole(path, json.dumps(log(run, pair, own), ensure_ascii=False, indent=1) + "\n")
        paths.append(path)
    return paths


def log(run: Path, pair: str, trials: Sequence[Conversation]) -> Json:
    """Return the log of a pair's trials."""
    row = trials[0].row
    tasks = sorted({trial.row["task"] for trial in trials})
    days = sorted(trial.row["recorded_at"] for trial in trials if trial.row["recorded_at"])
    first, last = (days[0] + MIDNIGHT, days[-1] + MIDNIGHT) if days else ("1970-01-01" + MIDNIGHT,) * 2
    measured = [trial for trial in trials if trial.row["kind"] == "model"]
    by_role = _add_up(trials)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": _identity(run.name, pair),
            "run_id": _identity(run.name),
            "created": first,
            "task": pair,
            "task_id": _identity(pair),
            "dataset": {"name": run.name, "samples": len(tasks), "sample_ids": tasks, "shuffled": False},
            "model": row["orchestrator"],
            "model_roles": {role: {"model": row[role]} for role in ROLES},
            "config": {"epochs": max(trial.row["epoch"] for trial in trials)},
            "packages": {"pair-harness": version("pair-harness")},
            "metadata": {"pair": pair, **{name: row[name] for name in SETTINGS}},
        },
        "results": {
            "total_samples": len(trials),
            "completed_samples": len(measured),
            "scores": [
                {"name": "solved", "scorer": "solved", "metrics": {"accuracy": _accuracy(each)}}
                for each in (measured,)
                if each
            ],
        },
        "stats": {
            "started_at": first,
            "completed_at": last,
            "role_usage": {role: _usage(used) for role, used in by_role.items()},
            "model_usage": _by_model(row, by_role),
        },
        "samples": [sample(run, trial) for trial in trials],
    }


def sample(run: Path, trial: Conversation) -> Json:
    """Return the sample of a trial."""
    row, events = trial.row, trial.transcript.events
    texts = load_texts(run, row["task"])
    asked = next((e.text for e in events if isinstance(e, Said) and e.speaker == "user"), "")
    start = (row["recorded_at"] or "1970-01-01") + MIDNIGHT
    messages = list(_messages(row["orchestrator"], events))
    by_role = _add_up([trial])
    made: Json = {
        "id": row["task"],
        "epoch": row["epoch"],
        "uuid": _identity(run.name, row["trial"]),
        "input": texts["spec"] if texts else asked,
        "target": texts["reference"] if texts else "",
        "messages": messages,
        "output": _output(row["orchestrator"], messages),
        "scores": {},
        "metadata": {name: row[name] for name in ("trial", "outcome", "difficulty", "tags", "repairs")},
        "events": [_info(start, e) for e in events if isinstance(e, Wrote | Tested) or _inner(e)],
        "role_usage": {role: _usage(used) for role, used in by_role.items()},
        "model_usage": _by_model(row, by_role),
        "started_at": start,
        "total_time": row["recorded_wall_s"],
    }
    if row["kind"] == "infra":
        made["error"] = {
            "message": f"{row['outcome']}: {row['detail']}",
            "traceback": "",
            "traceback_ansi": "",
        }
        return made
    made["scores"]["solved"] = {
        "value": "C" if row["outcome"] == "solved" else "I",
        "answer": "\n\n".join(f"# {name}\n{text}" for name, text in sorted(trial.files.items())),
        "explanation": row["detail"] or row["outcome"],
        "metadata": {name: row[name] for name in GRADES if row.get(name) is not None},
    }
    if kind := LIMITS.get(trial.transcript.stop):
        made["limit"] = {"type": kind, "limit": -1, "reason": trial.transcript.stop}
    return made


def _messages(model: str, events: Iterable[Event]) -> Iterable[Json]:
    """Yield the orchestrator's conversation; its words and the calls that follow them are one message."""
    answer: Json | None = None
    tools: dict[str, str] = {}
    for event in events:
        if isinstance(event, Called) or (isinstance(event, Said) and event.speaker == "orchestrator"):
            if answer is None:
                answer = {
                    "role": "assistant",
                    "content": [],
                    "tool_calls": [],
                    "model": model,
                    "source": "generate",
                }
            if isinstance(event, Called):
                tools[event.call_id] = event.tool
                answer["tool_calls"].append(_call(event))
            elif event.thinking:
                answer["content"].append({"type": "reasoning", "reasoning": event.text})
            else:
                answer["content"].append({"type": "text", "text": event.text})
            continue
        if isinstance(event, Returned | Fault) or (isinstance(event, Said) and event.speaker == "user"):
            if answer is not None:
                yield answer
                answer = None
            if isinstance(event, Returned):
                yield _returned(event, tools.get(event.call_id))
            elif isinstance(event, Said):
                yield {"role": "user", "content": event.text, "source": "input"}
    if answer is not None:
        yield answer


def _call(event: Called) -> Json:
    """Return a tool call; arguments that are no JSON object are kept as the error of parsing them."""
    call: Json = {"id": event.call_id, "function": event.tool, "type": "function", "arguments": {}}
    try:
        arguments = json.loads(event.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return call | {"arguments": arguments}
    return call | {"parse_error": f"no JSON object: {event.arguments[:2000]}"}


def _returned(event: Returned, tool: str | None) -> Json:
    message = {"role": "tool", "content": event.text, "tool_call_id": event.call_id, "function": tool}
    return message if event.ok else message | {"error": {"type": "unknown", "message": event.text}}


def _inner(event: Event) -> bool:
    return isinstance(event, Said) and event.speaker in ("coder", "tester")


def _info(start: str, event: Event) -> Json:
    """Return what happened outside of the orchestrator's conversation."""
    told: dict[str, str] = {}
    if isinstance(event, Said):
        told = {"source": event.speaker, "data": event.text}
    elif isinstance(event, Wrote):
        told = {"source": f"{event.role} writes {event.path}", "data": f"```python\n{event.text}\n```"}
    elif isinstance(event, Tested):
        result = "passed" if event.passed else "not passed"
        told = {"source": "generated tests", "data": f"{result}\n\n{event.text}"}
    return {"event": "info", "timestamp": start, "working_start": 0, **told}


def _output(model: str, messages: Sequence[Json]) -> Json:
    """Return the orchestrator's last message, as its output."""
    last = next((each for each in reversed(messages) if each["role"] == "assistant"), None)
    if last is None:
        return {"model": model, "choices": []}
    return {
        "model": model,
        "choices": [{"message": last, "stop_reason": "tool_calls" if last["tool_calls"] else "stop"}],
    }


def _accuracy(measured: Sequence[Conversation]) -> Json:
    solved = sum(trial.row["outcome"] == "solved" for trial in measured)
    return {"name": "accuracy", "value": solved / len(measured)}


def _add_up(trials: Sequence[Conversation]) -> dict[str, Usage]:
    return {role: sum((trial.transcript.usage(role) for trial in trials), Usage()) for role in ROLES}


def _by_model(row: Mapping[str, Any], by_role: Mapping[str, Usage]) -> Json:
    models: dict[str, Usage] = defaultdict(Usage)
    for role, used in by_role.items():
        models[row[role]] += used
    return {model: _usage(used) for model, used in models.items()}


def _usage(used: Usage) -> Json:
    return {
        "input_tokens": used.input,
        "input_tokens_cache_write": used.cache_write,
        "input_tokens_cache_read": used.cache_read,
        "output_tokens": used.output,
        "total_tokens": used.total,
    }


def _identity(*names: str) -> str:
    """Return an id that is the same at each export, of the length of Inspect's own."""
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:22]
