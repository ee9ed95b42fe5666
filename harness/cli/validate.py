"""``harness validate``: check task files without a model."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def validate(files: tuple[Path, ...]) -> None:
    """Check tasks: each reference passes acceptance; each known bug, and empty functions, fail it.

    FILES are task files, source files or folders; default: benchmarks. No model, no Letta and no cassette
    is needed.
    """
    from harness.grading.validate import check

    count = wrong = 0
    for path in files or (Path("benchmarks"),):
        for file in check(path, Path.cwd()):
            count += 1
            wrong += bool(file.problems)
            for line in file.lines():
                click.echo(line)
    click.echo(f"{count} files checked, {wrong} with problems")
    sys.exit(1 if wrong else 0)
