"""``harness init``: what a repository needs for its first trial. Asks nothing, overwrites nothing."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shlex import quote

import click

from harness import __version__
from harness.cli.console import say
from harness.cli.settings import benchmarks_folder, is_benchmarks_folder
from harness.cli.task_files import task_text

PACKAGE = "pair-harness"
FOLDER = "BENCHMARKS_FOLDER"  # in templates
FIRST_TASK = "reverse_words"
WORKFLOWS = Path(".github/workflows")
UNKNOWN = "git+https://example.invalid/pair-harness.git"  # never resolves, and is in nobody's hands
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "dev-requirements.txt", "requirements/dev.txt")


@click.command()
def init() -> None:
    """Write what a first trial needs: pairs, a task, schemas for editors and a workflow for CI.

    Into the current folder; what is there already is kept. Nothing is asked, run or installed.
    """
    from harness.errors import UsageError
    from harness.files import write_whole

    root = Path()
    here = Path.cwd()
    if is_benchmarks_folder(here) and ((here / "pairs.yaml").is_file() or (here.parent / ".git").exists()):
        raise UsageError("this is the benchmarks folder itself; nothing was written", remedy="cd .. first")
    wanted = files(root)
    for path, text in wanted.items():
        try:
            if os.path.lexists(path):
                say(f"kept   {path.as_posix()}")
                continue
            write_whole(path, text)
        except OSError as error:
            raise UsageError(f"{path.as_posix()}: cannot be written: {error.strerror}") from None
        say(f"wrote  {path.as_posix()}")
        if UNKNOWN in text:
            say("       in it, put from where CI can install the harness: here it came from a folder")
    folder = benchmarks_folder(root)
    example = folder / f"{FIRST_TASK}.yaml"
    if example not in wanted and not example.exists():
        say(f"no example task was written: {shown(root)} has YAML files of its own (harness new task NAME)")
    pair = quote(first_pair(root))
    say(
        "next:",
        "  harness validate",
        f"  pytest {shown(root)} --record=once --pair {pair}",
        f"  pytest {shown(root)} -n 2",
    )


def files(root: Path) -> dict[Path, str]:
    """Return what there should be: path -> text. A suite that has tasks gets no further one."""
    from harness.cli.task_files import schemas
    from harness.tasks.suite import Selection, Suite

    here = Path(__file__).parent
    folder = benchmarks_folder(root)
    pairs = (here / "my_pairs.yaml").read_text("utf-8").replace(FOLDER, shown(root))
    wanted = {folder / "pairs.yaml": pairs}
    suite = Suite(folder, root, Selection(), {})
    if not suite.files() and not suite.sources():
        wanted[folder / f"{FIRST_TASK}.yaml"] = task_text(FIRST_TASK, "schemas/task.schema.json")
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        wanted[folder / "schemas" / name] = text
    wanted[root / "reports" / ".gitignore"] = "# Reports are made anew from recordings.\n*\n!.gitignore\n"
    if (root / ".github").is_dir() or not (root / ".gitlab-ci.yml").exists():
        wanted[root / WORKFLOWS / "benchmarks.yml"] = workflow(root)
    return wanted


def workflow(root: Path) -> str:
    """Return a workflow that installs what this repository has, and replays."""
    template = Path(__file__).with_name("my_workflow.yml").read_text("utf-8")
    commands = [f"      - run: {command}" for command in install_commands(root)]
    if UNKNOWN in commands[-1]:
        commands.insert(
            -1, "      # Here it came from a folder, which CI cannot reach: put an address that it can."
        )
    install = "\n".join(commands)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    replay = f"pytest {shown(root)} -n 2"
    text = template.replace("PYTHON", python).replace("INSTALL", install)
    # JSON is YAML: a name in quotes may hold what means something there.
    text = text.replace(f"pytest {FOLDER} -n 2", json.dumps(replay) if "'" in replay else replay)
    return text.replace(FOLDER, shown(root))


def shown(root: Path) -> str:
    """Return the folder of task files as it is written in a command, seen from the root."""
    return quote(Path(os.path.relpath(benchmarks_folder(root), root)).as_posix())


def install_commands(root: Path) -> Iterator[str]:
    """Yield what installs the repository's own requirements, itself, and the harness."""
    for name in REQUIREMENTS:
        if (root / name).is_file():
            yield f"pip install -r {name}"
    if is_package(root):
        yield "pip install -e ."
    yield f"pip install {quote(requirement())}"


def is_package(root: Path) -> bool:
    """Return True if pip can install the repository; a pyproject.toml may only hold settings of tools."""
    if (root / "setup.py").is_file():
        return True
    try:
        settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return "project" in settings or "build-system" in settings


def requirement() -> str:
    """Return what pip has to be given for this version of the harness, from where it came (PEP 610)."""
    try:
        origin = json.loads(distribution(PACKAGE).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"{PACKAGE} @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    if str(origin.get("url")).startswith("https:"):
        return f"{PACKAGE} @ {origin['url']}"
    # The name alone would fetch whatever has it in an index.
    return f"{PACKAGE} @ {UNKNOWN}" if origin else f"{PACKAGE}=={__version__}"


def first_pair(root: Path) -> str:
    """Return a pair to begin with: ``demo``, or of a pairs file that was there the first."""
    from harness.tasks.loader import PAIRS_FILE, load_pairs

    path = benchmarks_folder(root) / PAIRS_FILE
    pairs = load_pairs(path, path.as_posix())
    return "demo" if "demo" in pairs else next(iter(pairs))
