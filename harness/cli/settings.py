"""What pytest's configuration in the current folder says to the command, too."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

# Where pytest looks, in its order, and the section that is its own there.
FILES = (
    ("pytest.toml", ("pytest",)),
    (".pytest.toml", ("pytest",)),
    ("pytest.ini", ("pytest",)),
    (".pytest.ini", ("pytest",)),
    ("pyproject.toml", ("tool", "pytest")),
    ("tox.ini", ("pytest",)),
    ("setup.cfg", ("tool:pytest",)),
)
ALWAYS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")  # are pytest's, whatever they hold
DEFAULT = "benchmarks"


def benchmarks_folder(root: Path = Path()) -> Path:
    """Return the folder of task files: the setting ``benchmarks``, else the folder of that name.

    As pytest does, the first file that is meant for it is read, and no other.
    """
    for name, section in FILES:
        path = root / name
        try:
            text = path.read_text(encoding="utf-8")
            found: Any = tomllib.loads(text) if path.suffix == ".toml" else _ini(text)
        except (OSError, ValueError, configparser.Error):  # pytest says what is wrong with it
            continue
        for key in section:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            options = found.get("ini_options", found)
            folder = options.get("benchmarks") if isinstance(options, dict) else None
            return root / folder if isinstance(folder, str) and folder else root / DEFAULT
        if name in ALWAYS:
            break
    return root / DEFAULT


def is_benchmarks_folder(here: Path) -> bool:
    """Return True for the folder of task files of a folder above it."""
    return any(benchmarks_folder(root).resolve() == here.resolve() for root in here.parents)


def there(ctx: click.Context, parameter: click.Parameter, folder: Path) -> Path:
    """Return a folder that an option names; refuse one that is not there."""
    name = parameter.name or ""
    if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE and not folder.is_dir():
        raise click.BadParameter(f"{str(folder)!r}: no such folder")
    return folder


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}
