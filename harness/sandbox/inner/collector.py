"""Report one line for each test that pytest runs. A plugin of the runner's own pytest."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pytest

MAX_TESTS, MAX_NAME, MAX_TEXT, MAX_SHORT_TEXT, MANY = 20_000, 500, 2000, 100, 200


class Collector:
    """A pytest plugin that reports one line for each test, as soon as its outcome is final.

    To a file of generated tests it adds one of its own, under a random name at a random place, that must
    fail: where it does not, the code has changed how tests are judged. Hidden tests bring twins instead.
    """

    def __init__(self) -> None:
        self.start(print, {"folder": "", "test": "", "text": ""})

    def start(self, report: Callable[..., None], order: Mapping[str, Any]) -> None:
        """Begin a run: report its lines to this function."""
        self.report, self.order, self.folder = report, order, order["folder"]
        self.rows: dict[str, tuple[str, str]] = {}
        self.reported = 0
        self.tripwire = ""
        self.tripped = False

    def pytest_collection(self, session: pytest.Session) -> bool:
        """Collect the one test file, from its text."""
        import pytest

        path = Path(self.folder, self.order["test"])
        module = pytest.Module.from_parent(session, path=path)
        session.items = list(session.genitems(module))
        if self.order.get("hidden"):
            for item in session.items:
                item.repr_failure = brief  # type: ignore[assignment,method-assign]  # half fail by design
        only = self.order.get("only")
        if only is not None:
            session.items = [item for item in session.items if item.name in only]
        session.config.hook.pytest_collection_modifyitems(
            session=session, config=session.config, items=session.items
        )
        self.report("collected", len(session.items))
        if session.items and not self.order.get("hidden"):
            self.add_tripwire(session.items)
        session.testscollected = len(session.items)
        return True

    def add_tripwire(self, items: list[pytest.Item]) -> None:
        """Put a test that must fail among the others."""
        import pytest

        module = items[-1].getparent(pytest.Module)
        assert module is not None
        name = f"test_{os.urandom(6).hex()}"
        setattr(module.obj, name, fail)
        added = pytest.Function.from_parent(module, name=name)
        items.insert(int.from_bytes(os.urandom(2), "big") % (len(items) + 1), added)
        self.tripwire = added.nodeid

    def pytest_runtest_setup(self) -> None:
        """Let each hidden test meet the same chance, in whatever order they run, and fail in few words."""
        if self.order.get("hidden"):
            import _pytest.assertion.util as words

            random.seed(self.order["seed"])
            vars(words)["_reprcompare"] = None  # nobody reads how two values differ; twins fail by design

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count a test that somebody took away as skipped."""
        for item in items:
            self.note(item.nodeid, "skipped", "")
            self.finish(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a file that cannot be imported as an error with a reason.

        Hidden tests that skip themselves are one, too: it was the code that said so, while it was imported.
        """
        if report.failed or (report.skipped and self.order.get("hidden")):
            name = report.nodeid or "collection"
            self.note(name, "error", reason(report))
            self.finish(name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Make one outcome of a test's setup, call and teardown."""
        if report.nodeid == self.tripwire:
            self.tripped |= report.when == "call" and report.failed
            return
        outcome: str = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        elif outcome == "failed" and report.when != "call":
            outcome = "error"
        if report.when == "call" or outcome != "passed":
            self.note(report.nodeid, outcome, reason(report) if outcome in ("failed", "error") else "")
        if report.when == "teardown":
            self.finish(report.nodeid)

    def note(self, name: str, outcome: str, text: str) -> None:
        """Keep an outcome; the first that is not ``passed`` stays."""
        if self.rows.get(name, ("passed", ""))[0] == "passed":
            limit = MAX_TEXT if self.reported < MANY else MAX_SHORT_TEXT
            self.rows[name] = (outcome, text.replace(f"{self.folder}/", "")[:limit])

    def finish(self, name: str) -> None:
        """Report an outcome that is final."""
        if name in self.rows and self.reported < MAX_TESTS:
            self.reported += 1
            self.report("test", short(name), *self.rows.pop(name))


def short(name: str) -> str:
    """Return the name of a test, cut off and made unique if it is long."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 17]}~{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"


def fail() -> NoReturn:
    """Fail, as the tripwire's test."""
    raise AssertionError


def brief(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """Return the message of a failure, without its traceback, which takes long to make."""
    return excinfo.exconly(tryshort=True)


def reason(report: Any) -> str:
    """Why a test failed: the raised error first, then the line of the test file."""
    longrepr = report.longrepr
    if isinstance(longrepr, str) and getattr(report, "when", "collect") != "collect":
        return longrepr[: MAX_TEXT - 100]
    crash = getattr(longrepr, "reprcrash", None)
    if isinstance(longrepr, tuple):
        return str(longrepr[2])[: MAX_TEXT - 100]  # what skipped the file
    if crash is None:
        lines = [line for line in str(longrepr).splitlines() if line.startswith("E ")] or [
            str(longrepr)[-300:]
        ]
        return "\n".join(line.removeprefix("E").strip() for line in lines)
    where = ""
    for entry in getattr(getattr(longrepr, "reprtraceback", None), "reprentries", ()):
        location = getattr(entry, "reprfileloc", None)
        if location is not None and os.path.basename(location.path).startswith("test_"):
            where = f"\nat {location.path}:{location.lineno}"
            break
    return str(crash.message)[: MAX_TEXT - 100] + where
