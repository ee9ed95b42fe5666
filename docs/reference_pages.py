"""Make the reference from the code, whenever the documentation is built.

A page says ``<!-- from the code: NAME -->`` where one of ``PARTS`` is to stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import click

from harness.cli.main import GROUPS
from harness.plugin import OPTIONS

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
    options = [(f"`{names}`", cell(text)) for names, text in filter(None, records)]
    if options:
        yield table(("option", "meaning"), options)


PARTS: dict[str, Callable[[], str]] = {
    "pytest-options": pytest_options,
    "commands": commands,
}
