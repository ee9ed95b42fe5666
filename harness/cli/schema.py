"""``harness schema``: the JSON Schemas of the files that people write, and of a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pydantic import BaseModel


@click.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write them into FOLDER."
)
def schema(folder: Path | None) -> None:
    """Print the JSON Schemas of the task, source, pair and price files, or write them."""
    for name, value in schemas().items():
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        if folder is None:
            click.echo(text, nl=False)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            click.echo(f"wrote {folder / name}")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each kind of file, by the name of the schema file."""
    from harness.results.record import row_schema
    from harness.tasks.loader import PairsFile, PricesFile, SourceFile, TaskFile

    kinds: dict[str, type[BaseModel]] = {
        "task": TaskFile,
        "source": SourceFile,
        "pairs": PairsFile,
        "prices": PricesFile,
    }
    found = {name: model.model_json_schema(mode="validation") for name, model in kinds.items()}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {
        f"{name}.schema.json": {"$schema": draft, **fields}
        for name, fields in {**found, "record": row_schema()}.items()
    }
