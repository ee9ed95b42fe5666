"""Make the reference from the code, whenever the documentation is built.

A page says ``<!-- from the code: NAME -->`` where one of ``PARTS`` is to stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import click

from harness.cli.main import GROUPS
from harness.cli.task_files import schemas
from harness.errors import HarnessError
from harness.grading.verdict import INFRA_OUTCOMES, MODEL_OUTCOMES
from harness.plugin import OPTIONS
from harness.results.columns import COSTS
from harness.results.record import MAX_TOTAL

OUTCOMES: dict[str, dict[str, Any]] = {
    "model": {
        "solved": "All hidden acceptance tests pass.",
        "wrong": "The code ran, and a hidden test failed or was skipped.",
        "no_code": "The coder was asked, and its answers held no code for the file.",
        "syntax_error": "The file does not compile.",
        "timeout": "The hidden tests used up the task's time or memory.",
        "crashed": "The code ended the process before the tests were done.",
        "gave_up": "The orchestrator ended its turn without calling the coder.",
        "forged": "The code made its tests pass by other means than by being right. Never solved.",
        "limit": "A limit of the task was reached before it was solved.",
    },
    "infra": {
        "missing_cassette": ("Nothing was recorded for this trial.", "Record it: `--record=once`."),
        "stale_cassette": (
            "The recording does not fit what the harness asks today, was edited, or cannot be read.",
            "The message names what changed. Restore it, or record anew: `--record=all -k TASK`.",
        ),
        "unsafe_cassette": (
            "The recording holds what looks like a secret, so it was not written.",
            "See it: `harness cassettes refused`. [If it is none, accept it](../how-to/secrets.md).",
        ),
        "unplayable_recording": (
            "The recording would not replay as it went, so it was not written, and waits elsewhere.",
            "Look at it: `harness cassettes refused`. Correct what the message names, and record again.",
        ),
        "api_error": (
            "Letta or the coder's service refused, failed, or could not be reached.",
            "`harness doctor --live --pair NAME` tells which, and what to do.",
        ),
        "not_run": (
            "A step of a course: one before it ended in an infra error, or its agent is not there.",
            "Mend the step that the message names; record the course as a whole.",
        ),
        "sandbox_error": (
            "Code could not be run at all; the fault is not the code's.",
            "`harness doctor` tells what this machine lacks.",
        ),
        "budget": (
            "The run, or this trial of it, may spend no more: nothing more was asked.",
            "Raise the budget, and record what is missing: [budgets](../how-to/budget.md).",
        ),
        "wall_limit": (
            "The conversation hung, or took longer than `--max-trial-time`: it was cut off.",
            "Look at the services' logs; raise the limit if one is only slow.",
        ),
        "disk_error": (
            "A recording cannot be kept, or there was no room for it; then no model was asked.",
            "Free some space, and [go on with the run](../how-to/resume.md).",
        ),
        "spec_error": ("A task, pair or price file is wrong.", "Correct the line that the message names."),
        "harness_error": (
            "A worker died, or the harness has a bug.",
            "Look for a lack of memory; else report it, with the message.",
        ),
    },
}
LOADED = {
    "orchestrator_cost": "US dollars of the orchestrator's tokens, at the prices of the day of recording.",
    "coder_cost": "The same for the coder.",
    "tester_cost": "The same for the tester.",
    "cost": "Their sum. Missing where a price, or the tokens, are unknown.",
}
MARK = re.compile(r"^<!-- from the code: (\S+) -->$", re.MULTILINE)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}


def fill(_app: Any, _page: str, source: list[str]) -> None:
    """Put in the parts that a page asks for; an unknown name is an error."""
    source[0] = MARK.sub(lambda mark: PARTS[mark[1]](), source[0])


def cell(text: object) -> str:
    """Return one cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", r"\<").replace("$", r"\$")


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def pytest_options() -> str:
    """Return the options that the plugin adds to pytest."""
    return table(("option", "meaning"), [(_option(n, s), cell(s["help"] % {})) for n, s in OPTIONS.items()])


def _option(name: str, settings: dict[str, Any]) -> str:
    value = settings.get("metavar") or ",".join(settings.get("choices", ()))
    return f"`--{name}={value}`".replace("|", r"\|") if value else f"`--{name}`"


def commands() -> str:
    """Return every command of `harness`, in the groups of its help."""
    parts = []
    for title, found in GROUPS.items():
        parts.append(f"## {title}\n")
        for command in found:
            parts += _command(command, f"harness {command.name}", "###")
    return "\n".join(parts)


def _command(command: click.Command, name: str, heading: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield f"{heading} {name}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{name} {usage}\n```\n"
    for paragraph in (command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield "```text\n" + paragraph.removeprefix("\b").strip("\n") + "\n```\n"
        else:
            yield " ".join(paragraph.split()).replace("<", r"\<") + "\n"
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _command(child, f"{name} {child.name}", heading + "#")
        return
    records = [each.get_help_record(context) for each in command.params]
    options = [(f"`{names}`", cell(text)) for names, text in filter(None, records) if text]
    if options:
        yield table(("option", "meaning"), options)


def fields(schema_name: str) -> Callable[[], str]:
    """Return what describes a kind of YAML file: a table for the file, and one for each part of it."""

    def text() -> str:
        schema = schemas()[f"{schema_name}.schema.json"]
        parts = [_fields_of(schema)]
        for name, part in schema.get("$defs", {}).items():
            parts += [f"## {name}\n", f"{part.get('description', '')}\n", _fields_of(part)]
        return "\n".join(parts)

    return text


def _fields_of(schema: dict[str, Any]) -> str:
    needed = schema.get("required", [])
    return table(
        ("field", "value", "default", "meaning"),
        [
            (f"`{name}`", _value(value), _default(name, value, needed), cell(value.get("description", "")))
            for name, value in schema.get("properties", {}).items()
            if value.get("maxLength") != 0  # not for users to write
        ],
    )


def _value(schema: dict[str, Any]) -> str:
    """Return what a field may hold, in words; bounds as an interval."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_value(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_value(schema['items'])}"
    if kind == "object":
        patterns = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        inner = [_value(each) for each in patterns if isinstance(each, dict)]
        return f"mapping of name to {inner[0]}" if inner else "mapping"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is None and high is None:
        return {"string": "text"}.get(kind, kind)
    above = "above " if "exclusiveMinimum" in schema else ""
    return f"{kind}, {above}{low}" + (f" to {high}" if high is not None else " or more")


def _default(name: str, schema: dict[str, Any], needed: list[str]) -> str:
    if name in needed:
        return "**required**"
    default = schema.get("default")
    return "" if default in (None, "", [], {}) or isinstance(default, dict) else f"`{json.dumps(default)}`"


def record_columns() -> str:
    """Return the columns of `trials.jsonl`, and those that `harness.load` adds."""
    schema = schemas()["record.schema.json"]
    nullable = {
        name for name, value in schema["properties"].items() if {"type": "null"} in value.get("anyOf", ())
    }
    return table(
        ("column", "value", "empty", "meaning"),
        [
            (
                f"`{name}`",
                _value(value).replace(f", 0 to {MAX_TOTAL}", ""),
                "may be" if name in nullable else "",
                cell(value.get("description", "")),
            )
            for name, value in schema["properties"].items()
        ],
    )


def loaded_columns() -> str:
    """Return the columns that `harness.load` adds to those of a record."""
    added = [*COSTS, "cost"]
    return table(("column", "meaning"), [(f"`{name}`", LOADED[name]) for name in added])


def outcomes(kind: str) -> Callable[[], str]:
    """Return the outcomes of a kind, with what they mean and what to do."""

    def text() -> str:
        names = MODEL_OUTCOMES if kind == "model" else INFRA_OUTCOMES
        told = OUTCOMES[kind]
        if set(names) != set(told):
            raise ValueError(f"docs/reference_pages.py: OUTCOMES has not those of grading/verdict.py: {kind}")
        if kind == "model":
            letters = ["." if name == "solved" else name[0] for name in names]
            rows = [
                (f"`{name}`", f"`{letter}`", told[name]) for name, letter in zip(names, letters, strict=True)
            ]
            return table(("outcome", "letter", "meaning"), rows)
        return table(("outcome", "meaning", "what to do"), [(f"`{name}`", *told[name]) for name in names])

    return text


def error_codes() -> str:
    """Return the exit code of each kind of error of the command line."""
    kinds = [HarnessError, *_below(HarnessError)]
    rows = [
        (f"`{kind.__name__}`", str(kind.exit_code), cell((kind.__doc__ or "").strip().split("\n")[0]))
        for kind in kinds
    ]
    return table(("error", "exit code", "meaning"), rows)


def _below(kind: type[HarnessError]) -> Iterator[type[HarnessError]]:
    for child in kind.__subclasses__():
        if child.__module__ == HarnessError.__module__:
            yield child
            yield from _below(child)


PARTS: dict[str, Callable[[], str]] = {
    "pytest-options": pytest_options,
    "commands": commands,
    "task-fields": fields("task"),
    "pair-fields": fields("pairs"),
    "source-fields": fields("source"),
    "course-fields": fields("course"),
    "price-fields": fields("prices"),
    "record-columns": record_columns,
    "loaded-columns": loaded_columns,
    "model-outcomes": outcomes("model"),
    "infra-outcomes": outcomes("infra"),
    "errors": error_codes,
}
