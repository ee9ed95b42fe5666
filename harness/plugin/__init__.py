"""pytest entry point: the options; activates where a benchmarks folder exists.

pytest loads this module wherever the package is installed, so importing it must cost nothing: pytest and
pathlib only. All else is imported where it is needed.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the harness's options."""
    add = parser.getgroup("harness", "evaluation harness for orchestrator + coder pairs").addoption
    add(
        "--pair",
        action="append",
        default=[],
        metavar="NAME",
        help="run this pair of benchmarks/pairs.yaml; repeatable (default: all)",
    )
    add(
        "--orchestrator",
        default="",
        metavar="A,B",
        help="orchestrator models as Letta handles, in place of a pairs file (default: $ORCH_MODEL)",
    )
    add(
        "--coder",
        default="",
        metavar="C,D",
        help="coder models; each orchestrator is paired with each coder (default: $CLAUDE_MODEL)",
    )
    add("--epochs", type=int, metavar="N", help="repetitions of each task (default: the pair's)")
    add(
        "--record",
        choices=("none", "once", "all"),
        default="none",
        help="none: replay only (default); once: record live what is missing; all: record everything anew",
    )
    add(
        "--mutants",
        type=int,
        default=0,
        metavar="N",
        help="grade testers on up to N further bugs for each task, derived from its reference",
    )
    add(
        "--fail-under",
        type=float,
        metavar="PCT",
        help="fail the run if a pair solves less than PCT %% of its trials",
    )
    add(
        "--baseline",
        default="",
        metavar="RUN",
        help="earlier run (a folder, or its name in reports/): fail if a pair is shown to be worse",
    )
    add(
        "--mix-mocks",
        action="store_true",
        help="let pairs with backend mock stand in one table with pairs of real models",
    )
    add("--fail-unsolved", action="store_true", help="each trial that is not solved fails the run")
    add(
        "--require-sandbox",
        action="store_true",
        help="refuse to run model-written code where this machine cannot enforce every protection",
    )
    add(
        "--no-run-cache",
        action="store_true",
        help="execute every test run anew, and keep none for the next run on this machine",
    )
    add(
        "--no-live-checks",
        action="store_true",
        help="record without first asking whether keys, accounts and models are usable",
    )
    add(
        "--keep-going",
        action="store_true",
        help="record on although three trials in a row of a pair ended with an API error",
    )
    parser.addini("benchmarks", "folder of task files, relative to the root folder", default="benchmarks")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let ``pytest -f`` (xdist) watch all folders but ``reports/``, where each run writes."""
    if not config.getoption("looponfail", False) or config.getini("looponfailroots"):
        return
    if find_benchmarks(config.rootpath, str(config.getini("benchmarks"))) is None:
        return
    for folder in sorted(Path.cwd().iterdir()):
        if folder.is_dir() and folder.name != "reports" and not folder.name.startswith("."):
            config.addinivalue_line("looponfailroots", str(folder))


def pytest_configure(config: pytest.Config) -> None:
    """Register the session, and the checks before a recording, where there is a benchmarks folder."""
    folder = find_benchmarks(config.rootpath, str(config.getini("benchmarks")))
    if folder is None:
        return
    from harness.plugin.session import BenchmarkSession

    session = BenchmarkSession(config, folder)
    config.pluginmanager.register(session, "harness-session")
    if session.mode == "none" or session.is_worker:
        return
    from harness.plugin.dead_endpoint import DeadEndpoint

    config.pluginmanager.register(DeadEndpoint(config), "harness-dead-endpoint")
    if not config.getoption("no_live_checks"):
        from harness.plugin.preflight import LiveChecks

        config.pluginmanager.register(LiveChecks(session), "harness-live-checks")


def find_benchmarks(root: Path, name: str) -> Path | None:
    """Return the folder of task files; without a configuration file pytest's root may lie inside it."""
    if (root / name).is_dir():
        return root / name
    return next((folder for folder in (root, *root.parents) if folder.name == Path(name).name), None)
