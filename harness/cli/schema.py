"""Generate the JSON Schemas of task, pair and source files."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from harness.results.record import row_schema
from harness.tasks.loader import PairsFile, PricesFile, SourceFile, TaskFile

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of each kind of file, by the name of the schema file."""
    kinds: dict[str, type[BaseModel]] = {
        "task": TaskFile,
        "source": SourceFile,
        "pairs": PairsFile,
        "prices": PricesFile,
    }
    found = {name: model.model_json_schema(mode="validation") for name, model in kinds.items()}
    found["record"] = row_schema()
    return {f"{name}.schema.json": {"$schema": SCHEMA_URL, **schema} for name, schema in found.items()}
