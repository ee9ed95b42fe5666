"""`harness up` and `down`: start and stop the whole stack, one command at a time."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import StackError
from harness.local.stack import postgres, state
from harness.local.stack.components import StackOptions, Starter, is_reusable, stop_component
from harness.local.stack.external_postgres import require_usable
from harness.local.stack.home import Home, find_home
from harness.local.stack.processes import Report
from harness.local.stack.state import LETTA, MODEL_SERVER, POSTGRES
from harness.local.stack.status import StackState, status


def up(options: StackOptions, report: Report) -> StackState:
    """Start what does not run yet or runs with other options, and wait until all answers.

    Raise StackError if something could not be started, or the user interrupted: what this call started is
    stopped then.
    """
    home = find_home(options.letta, models=bool(options.models or options.own_models))
    if options.has_models and options.letta_port == options.model_port:
        text = f"both servers cannot listen on port {options.letta_port}"
        raise StackError(text, remedy="choose two ports")
    with _locked(home, report):
        if options.postgres is not None:
            require_usable(options.postgres)
        if options.reset:
            erase_data(home, options, report)
        there = all(home.model(model.name).is_file() for model in options.wanted(home))
        reusable = all(is_reusable(home, name, options) for name in options.servers)
        if there and reusable and (state_now := status()).running:
            report("the stack is already running")
            return state_now
        starter = Starter(home, options, report)
        try:
            starter.start_all()
        except BaseException as error:
            starter.undo()
            if not isinstance(error, KeyboardInterrupt):
                raise
            stopped = "interrupted; what had been started is stopped"
            raise StackError(stopped, remedy="run `harness up` again") from None
    return status()


def down(report: Report) -> None:
    """Stop the whole stack, if it runs; raise StackError without the extra ``live``."""
    home = find_home()
    with _locked(home, report):
        for name in reversed(state.COMPONENTS):
            if stop_component(home, name):
                report(f"{name} stopped")
        home.state_file.unlink(missing_ok=True)


def erase_data(home: Home, options: StackOptions, report: Report) -> None:
    """Delete the embedded database, or the App Server's home; the installation stays.

    Raise StackError before anything is deleted if something of the stack runs, as somebody may be using it,
    or if a port is taken, so that no new one could start.
    """
    running = [name for name in (LETTA, MODEL_SERVER) if state.living(home, name)]
    if postgres.find(home) is not None:
        running.append(POSTGRES)
    if running:
        raise StackError(
            f"the stack in {home.root} runs ({', '.join(running)}), and is not reset while it is running",
            remedy="end what uses it, then: harness down",
        )
    for name in options.servers:
        options.require_free_port(name)
    if options.letta == "app-server":
        shutil.rmtree(home.app_server_home, ignore_errors=True)
        report(f"the agents in {home.app_server_home} are deleted")
        return
    postgres.erase(home)
    home.migrations.unlink(missing_ok=True)
    report(f"the database in {home.root} is deleted")


@contextmanager
def _locked(home: Home, report: Report) -> Iterator[None]:
    """Let one command at a time change the stack."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another harness command to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
