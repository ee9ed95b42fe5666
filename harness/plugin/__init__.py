"""pytest entry point: the options; activates where a benchmarks folder exists.

pytest loads this module wherever the package is installed, so importing it must cost nothing: pytest and
the standard library only. All else is imported where it is needed.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


def parse_usd(text: str) -> float:
    """Parse an amount of dollars above 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    with suppress(ValueError):
        if 0 < (value := float(text.strip().removeprefix("$").replace(",", ""))) < 1e9:
            return value
    raise argparse.ArgumentTypeError(f"expected US dollars above 0, such as 2.50, not {text!r}")


def parse_tokens(text: str) -> int:
    """Parse a number of tokens above 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    with suppress(ValueError):
        if (value := int(text.replace(",", ""))) > 0:
            return value
    raise argparse.ArgumentTypeError(f"expected a number of tokens above 0, such as 1_000_000, not {text!r}")


def parse_models(text: str) -> str:
    """Return a list of models, separated by commas.

    Raises:
        ArgumentTypeError: It names none, as where a variable is not set.
    """
    if not text.replace(",", "").strip():
        raise argparse.ArgumentTypeError(f"expected the name of a model, got {text!r}")
    return text


def parse_shard(text: str) -> tuple[int, int]:
    """Return K and N of ``K/N``.

    Raises:
        ArgumentTypeError: They are no such numbers.
    """
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise argparse.ArgumentTypeError(f"{text!r}: expected K/N, the K-th of N parts, such as 2/4")


def parse_cluster(text: str) -> str:
    """Return the address of a scheduler.

    Raises:
        ArgumentTypeError: It is none.
    """
    kind, _, rest = text.partition(":")
    if (kind == "local" and rest.isdecimal() and int(rest)) or (kind in ("tcp", "tls", "ws", "wss") and rest):
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: expected tcp://HOST:PORT of a Dask scheduler, or local:N")


def seconds(text: str) -> float:
    """Return a number of seconds, 0 or more.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if 0 <= number < math.inf:
        return number
    raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, 0 for no limit")


OPTIONS: dict[str, dict[str, Any]] = {
    "pair": {
        "action": "append",
        "default": [],
        "metavar": "NAME",
        "help": "run this pair of benchmarks/pairs.yaml; repeatable (default: all)",
    },
    "orchestrator": {
        "type": parse_models,
        "metavar": "A,B",
        "help": "orchestrator models as Letta handles, in place of a pairs file (default: $ORCH_MODEL)",
    },
    "coder": {
        "type": parse_models,
        "metavar": "C,D",
        "help": "coder models; each orchestrator is paired with each coder (default: $CLAUDE_MODEL)",
    },
    "epochs": {"type": int, "metavar": "N", "help": "repetitions of each task (default: the pair's)"},
    "record": {
        "choices": ("none", "once", "all"),
        "default": "none",
        "help": "none: replay only (default); once: record live what is missing; all: record everything anew",
    },
    "resume": {
        "nargs": "?",
        "const": "",
        "metavar": "RUN",
        "help": "go on with a run (default: the newest): with what has no result, or one of an infra error",
    },
    "max-turn-time": {
        "type": seconds,
        "default": 1800.0,
        "metavar": "S",
        "help": "end a trial with real services where nothing happens for S seconds (default: 1800)",
    },
    "max-trial-time": {
        "type": seconds,
        "default": 0.0,
        "metavar": "S",
        "help": "end a trial with real services whose conversation takes longer (default: no limit)",
    },
    "shard": {
        "type": parse_shard,
        "metavar": "K/N",
        "help": "run the K-th of N equal parts of the trials; `harness merge` puts the N runs together",
    },
    "cluster": {
        "type": parse_cluster,
        "metavar": "ADDRESS",
        "help": "run the trials on the workers of this Dask scheduler (tcp://HOST:PORT), or of one that is "
        "started here (local:N)",
    },
    "mutants": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "grade testers on up to N further bugs for each task, derived from its reference",
    },
    "fail-under": {
        "type": float,
        "metavar": "PCT",
        "help": "fail the run if a pair solves less than PCT %% of its trials",
    },
    "baseline": {
        "default": "",
        "metavar": "RUN",
        "help": "earlier run (a folder, or its name in reports/): fail if a pair is shown to be worse",
    },
    "keep-agent": {
        "default": "",
        "metavar": "DIR",
        "help": "while recording: write the agent file of each agent that lived through a course there",
    },
    "mix-mocks": {
        "action": "store_true",
        "help": "let pairs with backend mock stand in one table with pairs of real models",
    },
    "fail-unsolved": {"action": "store_true", "help": "each trial that is not solved fails the run"},
    "require-sandbox": {
        "action": "store_true",
        "help": "refuse to run model-written code where this machine cannot enforce every protection",
    },
    "no-run-cache": {
        "action": "store_true",
        "help": "execute every test run anew, and keep none for the next run on this machine",
    },
    "no-live-checks": {
        "action": "store_true",
        "help": "record without first asking whether keys, accounts and models are usable",
    },
    "keep-going": {
        "action": "store_true",
        "help": "record on although a service, or three trials in a row of a pair, failed",
    },
    "max-cost": {
        "type": parse_usd,
        "metavar": "USD",
        "help": "record until so many dollars are spent, by all workers together; no question is asked",
    },
    "max-tokens": {
        "type": parse_tokens,
        "metavar": "N",
        "help": "record until so many tokens are used, of all models, read and written",
    },
    "max-trial-cost": {
        "type": parse_usd,
        "metavar": "USD",
        "help": "end a trial that has cost so much; it is no measurement, and not recorded",
    },
    "allow-unknown-price": {
        "action": "store_true",
        "help": "record although no price is known of a model; its calls count as no dollars",
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the harness's options, under names that no other plugin has."""
    about = "evaluation harness for orchestrator + coder pairs; --harness-pair is --pair, and so on"
    group = parser.getgroup("harness", f"{about}, unless another plugin has that name")
    for name, settings in OPTIONS.items():
        group.addoption(f"--harness-{name}", dest=f"harness_{name.replace('-', '_')}", **settings)
    parser.addini("benchmarks", "folder of task files, relative to the root folder", default="benchmarks")
    parser.addini(
        "harness_collect",
        "run the trials of that folder also where it is not named, as in a bare `pytest`",
        type="bool",
        default=False,
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Iterator[None]:
    """Add the short names of the options, when all other plugins and conftest files have added theirs."""
    result = yield
    group = parser.getgroup("harness")
    for name, settings in OPTIONS.items():
        alias = settings | {"help": argparse.SUPPRESS, "dest": f"harness_{name.replace('-', '_')}"}
        with suppress(argparse.ArgumentError, ValueError):  # somebody else's
            group.addoption(f"--{name}", **alias)
    return result


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
    name = str(config.getini("benchmarks"))
    folder = find_benchmarks(config.rootpath, name)
    if folder is None:
        require_no_trials_asked_for(config, name)
        return
    add_to_testpaths(config, folder)
    if not (config.getini("harness_collect") or is_asked_for(config, folder)):
        config.pluginmanager.register(Note(folder), "harness-note")
        return
    # Before all that takes time. Where it is not sure yet that these are trials, the session does it.
    if names_trials(config, folder) and (folder / "pairs.yaml").is_file():
        register_preload(config)
    from harness.plugin.session import BenchmarkSession

    session = BenchmarkSession(config, folder, is_named=is_asked_for(config, folder))
    config.pluginmanager.register(session, "harness-session")
    # Before Resume, which drops what is finished from the part: of two that come last, the later comes last.
    if (shard := config.getoption("harness_shard")) is not None:
        from harness.plugin.shard import Shard

        config.pluginmanager.register(Shard(*shard), "harness-shard")
    if session.resumed is not None:
        from harness.plugin.resume import Resume

        config.pluginmanager.register(Resume(session.resumed), "harness-resume")
    if (address := config.getoption("harness_cluster")) and not session.is_worker:
        from harness.plugin.cluster import ClusterLoop

        if config.getoption("numprocesses", None):
            raise pytest.UsageError("--cluster and -n exclude each other: the cluster has its own workers")
        config.pluginmanager.register(ClusterLoop(session, address), "harness-cluster")
    if session.mode != "none":
        register_live(config, session)


def register_preload(config: pytest.Config) -> None:
    """Have workers begin as forks, unless they have begun, or are not to."""
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.option.collectonly or config.pluginmanager.hasplugin("harness-preload"):
        return
    from harness.plugin.preload import Preload

    config.pluginmanager.register(Preload(), "harness-preload")


def register_live(config: pytest.Config, session: Any) -> None:
    """Register what a run needs that may ask models."""
    from harness.local.stack.ports import spare_proxy
    from harness.plugin.spending import Spending

    spare_proxy(os.environ)
    spending = Spending(session)
    if not session.is_worker:
        from harness.plugin.breaker import Breaker
        from harness.plugin.preflight import Preflight

        config.pluginmanager.register(Breaker(config, spending.limiter.given_up), "harness-breaker")
        config.pluginmanager.register(Preflight(session, spending), "harness-preflight")
    config.pluginmanager.register(spending, "harness-spending")


def find_benchmarks(root: Path, name: str) -> Path | None:
    """Return the folder of task files; without a configuration file pytest's root may lie inside it."""
    if (root / name).is_dir():
        return root / name
    return next((folder for folder in (root, *root.parents) if folder.name == Path(name).name), None)


def require_no_trials_asked_for(config: pytest.Config, name: str) -> None:
    """Raise UsageError if options ask for trials where pytest's root holds no folder of task files."""
    options = ("pair", "orchestrator", "coder", "record", "resume", "baseline", "fail_under")
    given = {f"--{name.replace('_', '-')}": config.getoption(f"harness_{name}") for name in options}
    asked = next((option for option, value in given.items() if value not in (None, "", "none", [])), "")
    if asked and not hasattr(config, "workerinput"):
        then = "run it with --rootdir=. where that folder is, or set `benchmarks` in the configuration there"
        raise pytest.UsageError(
            f"{asked}: no folder {name!r} in pytest's root {config.rootpath} -> {then}; write --option=VALUE"
        )


def is_asked_for(config: pytest.Config, folder: Path) -> bool:
    """Return True if the command line asks for trials: by the folder or what is in it, or by an option."""
    return is_asked_by_option(config) or names_trials(config, folder)


def is_asked_by_option(config: pytest.Config) -> bool:
    """Return True if an option asks for trials."""
    asking = ("pair", "orchestrator", "coder", "cluster")
    return (
        config.getoption("harness_resume") is not None
        or config.getoption("harness_record") != "none"
        or any(config.getoption(f"harness_{name}") for name in asking)
    )


def add_to_testpaths(config: pytest.Config, folder: Path) -> None:
    """Have the trials that an option asks for run beside the tests of the setting ``testpaths``."""
    if config.args_source is config.ArgsSource.TESTPATHS and is_asked_by_option(config):
        config.args += [] if names_trials(config, folder) else [str(folder)]


def names_trials(config: pytest.Config, folder: Path) -> bool:
    """Return True if an argument is the folder, or lies in it."""
    paths = [Path(os.path.abspath(str(arg).split("::", 1)[0])) for arg in config.args]
    # Resolved, too: links lead there under ``--rootdir LINK``.
    return any(
        path.is_relative_to(folder) or path.resolve().is_relative_to(folder.resolve()) for path in paths
    )


class Note:
    """What a run without trials says in a repository that has some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pytest_report_header(self) -> str | None:
        """Say how the trials are run, where a pairs file shows that there are some."""
        if not (self.folder / "pairs.yaml").is_file():
            return None
        name = self.folder.name
        return f"harness: trials run with `pytest {name}`, or here with harness_collect = true"
