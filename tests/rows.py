"""Rows of records, and the run folders that they stand in, for tests of tables and reports."""

from __future__ import annotations

import json


def a_row(pair="p", outcome="solved", **changes):
    """A row of trials.jsonl."""
    row = {
        "schema": 4,
        "trial": f"{pair}/t/1",
        "task": "t",
        "task_digest": "d",
        "pair": pair,
        "epoch": 1,
        "difficulty": "easy",
        "tags": "x y",
        "orchestrator": "orch",
        "coder": "code",
        "tester": "code",
        "flow": "free",
        "tools": "client",
        "backend": "anthropic",
        "coder_settings": "",
        "tester_settings": "",
        "mode": "replay",
        "kind": "model",
        "outcome": outcome,
        "detail": "",
        "solved_at": 1 if outcome == "solved" else None,
        "generated_passed": outcome == "solved",
        "generated_tests": 2,
        "tests_valid": outcome == "solved",
        "bugs_caught": 2,
        "bugs_accepted": 1,
        "bugs_total": 4,
        "mutants_caught": 0,
        "mutants_total": 0,
        "acceptance_passed": 2,
        "acceptance_tests": 4,
        "acceptance_fraction": 0.5,
        "attempts": 1,
        "repairs": 0,
        "steps": 2,
        "tool_calls": 2,
        "tool_errors": 0,
        "transport_retries": 0,
        "wasted_calls": 0,
        "final_answer": "Done.",
        "conversation": "",
        "requests": "",
        "recorded_at": "2026-01-01",
        "recorded_wall_s": 1.5,
        "notional_cost_usd": None,
        "letta_version": "0.16.8",
    }
    for role in ("orchestrator", "coder", "tester"):
        row.update({f"{role}_{kind}": 0 for kind in ("input", "cache_write", "cache_read", "output")})
    row = {**row, **changes}
    return {**row, "trial": f"{row['pair']}/{row['task']}/{row['epoch']}"} if "trial" not in changes else row


def an_infra_row(pair="p", outcome="stale_cassette", **changes):
    """A row of a trial that says nothing about its models: its figures are unknown."""
    row = a_row(pair, outcome, kind="infra", **changes)
    kept = ("schema", "epoch", *(key for key, value in row.items() if isinstance(value, str)))
    return {**{key: value if key in kept else None for key, value in row.items()}, "recorded_at": None}


def many(pair, solved, tasks=20, epochs=1, **changes):
    """Rows of a pair that solves the first ``solved`` of its tasks, in every epoch."""
    return [
        a_row(pair, "solved" if n < solved else "wrong", task=f"t{n:02d}", epoch=epoch + 1, **changes)
        for n in range(tasks)
        for epoch in range(epochs)
    ]


def a_step(memory, number, epoch, outcome, course="shop", **more):
    """A row of a step of a course."""
    task = f"{course}.{number}.t"
    names = {"trial": f"{memory}/{task}/{epoch}", "task": task, "epoch": epoch, "course": course}
    names |= {"conversation": f"{memory} {number} {epoch}"}
    return a_row(memory, outcome, memory=memory, step=number, **{"control": False, **names, **more})


def a_course_run(memory, epoch, outcomes, **more):
    """The rows of a course run; ``s`` is solved."""
    words = {"s": "solved", "w": "wrong"}
    return [
        a_step(memory, number, epoch, words[each], **more) for number, each in enumerate(outcomes, start=1)
    ]


def with_two_memories(epochs, carried="sss", fresh="sww", **more):
    """The rows of so many runs of one course with each of two kinds of memory."""
    return [
        row
        for n in range(1, epochs + 1)
        for row in a_course_run("carried", n, carried, **more) + a_course_run("fresh", n, fresh, **more)
    ]


def a_run(folder, rows):
    """A run's folder with these records and a conversation for each."""
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        path = folder / "transcripts" / f"{row['trial']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(a_talk()))
    return folder


def a_talk(text="I am done.", code="def add(a, b):\n    return a + b\n"):
    """What a transcript file holds."""
    events = [
        {"kind": "said", "attempt": 1, "speaker": "user", "text": "Build add.", "thinking": False},
        {"kind": "called", "attempt": 1, "call_id": "c", "tool": "run_claude_coder", "arguments": "{}"},
        {"kind": "said", "attempt": 1, "speaker": "coder", "text": f"```\n{code}```", "thinking": False},
        {"kind": "wrote", "attempt": 1, "role": "coder", "path": "add.py", "text": code},
        {"kind": "said", "attempt": 1, "speaker": "orchestrator", "text": text, "thinking": False},
    ]
    return {"stop": "done", "events": events, "files": {"add.py": code, "given.py": "GIVEN = 1\n"}}
