"""pytest, warm: imported and configured once, then run in a fork on one file after another.

A warm session is made before the fork out of pytest's own parts (``Session`` and ``Config``, which are
not public API). Where they have changed, each fork calls ``pytest.main`` instead: slower, the same rows.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pytest

MAX_TESTS, MAX_NAME, MAX_TEXT, MAX_SHORT_TEXT, MANY = 20_000, 500, 2000, 100, 200
PROCESSES = 64
FILE_BYTES = 16 << 20
OPEN_FILES = 128
TRIPWIRE = "[tripwire]"  # no function can have this name
WITHOUT = (
    "cacheprovider",
    "doctest",
    "faulthandler",
    "junitxml",
    "pastebin",
    "stepwise",
    "unraisableexception",
)
OFTEN_USED = (
    *("bisect", "calendar", "collections", "contextlib", "csv", "dataclasses", "datetime", "decimal", "enum"),
    *("fractions", "functools", "hashlib", "heapq", "inspect", "itertools", "json", "math", "operator", "re"),
    *("statistics", "string", "subprocess", "tempfile", "textwrap", "time", "typing", "unittest.mock"),
)
SAMPLE = """
import pytest, warnings
@pytest.fixture
def value(tmp_path, capsys, monkeypatch): return 1
@pytest.mark.parametrize("n", [1, 2])
def test_warm(n, value):
    with pytest.raises(ValueError, match="x"): raise ValueError("x")
    assert pytest.approx(n) == value
class TestWarm:
    def test_text(self): assert {"a": [1, 2]} == {"a": [1, 3]}, "text"
def test_lines(): assert "a\\nb\\nc" == "a\\nb\\nd"
@pytest.mark.skip
def test_skipped(): pass
"""


class Collector:
    """A pytest plugin that tells one line for each test, as soon as its outcome is final.

    It adds a test of its own to the end of each file, one that must fail: where it does not, the code
    has changed how tests are judged.
    """

    def __init__(self) -> None:
        self.start(print, "")

    def start(self, tell: Callable[..., None], folder: str) -> None:
        """Tell the lines to this function from now on, naming files as they stand in ``folder``."""
        self.tell, self.folder = tell, folder
        self.rows: dict[str, tuple[str, str]] = {}
        self.told = 0
        self.tripwire: pytest.Function | None = None
        self.tripped = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell how many tests there are, and add the tripwire."""
        import pytest

        self.tell("collected", len(session.items))
        if session.items:
            module = session.items[-1].getparent(pytest.Module)
            assert module is not None
            setattr(module.obj, TRIPWIRE, fail)
            self.tripwire = pytest.Function.from_parent(module, name=TRIPWIRE)
            self.tripwire.repr_failure = lambda *_: TRIPWIRE  # type: ignore[method-assign]
            session.items.append(self.tripwire)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """A test that somebody took away counts as skipped."""
        for item in items:
            self.note(item.nodeid, "skipped", "")
            self.finish(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported is an error with a reason."""
        if report.failed:
            name = report.nodeid or "collection"
            self.note(name, "error", reason(report))
            self.finish(name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown of a test make one outcome."""
        if self.tripwire is not None and report.nodeid == self.tripwire.nodeid:
            self.tripped |= report.when == "call" and report.failed and str(report.longrepr) == TRIPWIRE
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
            limit = MAX_TEXT if self.told < MANY else MAX_SHORT_TEXT
            self.rows[name] = (outcome, text.replace(f"{self.folder}/", "")[:limit])

    def finish(self, name: str) -> None:
        """Tell an outcome that is final."""
        if name in self.rows and self.told < MAX_TESTS:
            self.told += 1
            self.tell("test", name[:MAX_NAME], *self.rows.pop(name))


def fail() -> NoReturn:
    """The tripwire's test."""
    raise AssertionError


def reason(report: Any) -> str:
    """Why a test failed: the raised error first, then the line of the test file."""
    longrepr = report.longrepr
    crash = getattr(longrepr, "reprcrash", None)
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


class Runner:
    """Runs test files in one folder; made once, used in many forks.

    Args:
        folder: Where the files of each run will stand.
        warm: Whether ``folder`` exists already and stays at its place: then a session is made beforehand.
    """

    def __init__(self, folder: str, *, warm: bool) -> None:
        import _pytest.assertion.rewrite  # noqa: F401  (before the limits, and before the code's own modules)
        import pytest

        for name in OFTEN_USED:
            __import__(name)
        self.pytest = pytest
        self.folder = folder
        self.collector = Collector()
        self.session: pytest.Session | None = None
        if warm:
            self.warm_up()
            self.session = self.prepared()
        gc.collect()
        gc.freeze()

    def arguments(self, folder: str) -> list[str]:
        """Arguments for pytest: no configuration, plugin or conftest of anybody."""
        without = [word for name in WITHOUT for word in ("-p", f"no:{name}")]
        places = ["-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--noconftest"]
        return ["-q", *places, *without, "--import-mode=append", "--capture=no", "--tb=short"]

    def warm_up(self) -> None:
        """Run a sample once, so that what pytest imports late is imported."""
        before, path = set(sys.modules), list(sys.path)
        with open("test_warm_up.py", "w", encoding="ascii") as file:
            file.write(SAMPLE)
        self.collector.start(lambda *_: None, self.folder)
        self.pytest.main([*self.arguments(self.folder), "test_warm_up.py"], plugins=[self.collector])
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.startswith("test_warm_up"):
                del sys.modules[name]

    def prepared(self) -> pytest.Session | None:
        """A session that has only to collect and run; None where pytest's parts have changed."""
        try:
            from _pytest.config import _prepareconfig
            from _pytest.main import Session

            config = _prepareconfig(self.arguments(self.folder), plugins=[self.collector])
            config._do_configure()  # noqa: SLF001  (not public, as the module's docstring says)
            session = Session.from_config(config)
            session.exitstatus = 0
            config.hook.pytest_sessionstart(session=session)
            config.pluginmanager.unregister(name="terminalreporter")
        except Exception:  # noqa: BLE001  (whatever a future pytest raises here, the slow way still works)
            return None
        return session

    def run(self, order: Mapping[str, Any], writer: int) -> None:
        """Run one test file and report, in a fork that has no other purpose."""
        nonce, write, dumps = order["nonce"], os.write, json.dumps

        def tell(*line: object) -> None:
            data = f"{nonce}{dumps(line)}\n".encode()
            while data:
                data = data[write(writer, data) :]

        try:
            lay(order["files"], order["folder"])
        except OSError as error:
            tell("cannot", f"its copy of the files cannot be written: {error.strerror}")
            return
        random.seed(order["seed"])
        tempfile.tempdir = None  # the warm-up has found one
        sys.argv = ["pytest", order["test"]]
        sys.path.append(order["folder"])
        self.collector.start(tell, order["folder"])
        code = self.in_session(self.session, order["test"]) if self.session else self.in_main(order)
        # Which tests failed stands in the rows; that some did (the tripwire always does) is no news.
        tell("end", 0 if code == 1 else code, self.collector.tripped)

    def in_main(self, order: Mapping[str, Any]) -> int:
        """Run the test file as pytest does. Returns its exit code."""
        arguments = [*self.arguments(order["folder"]), order["test"]]
        return int(self.pytest.main(arguments, plugins=[self.collector]))

    def in_session(self, session: pytest.Session, test: str) -> int:
        """What ``pytest.main`` would do after its preparations. Returns its exit code."""
        session.config.args = [test]
        try:
            session.config.hook.pytest_collection(session=session)
            session.config.hook.pytest_runtestloop(session=session)
        except session.Failed:
            return 1
        except self.pytest.exit.Exception as left:
            return 2 if left.returncode is None else int(left.returncode)
        except KeyboardInterrupt:
            return 2
        except self.pytest.UsageError:
            return 4
        except BaseException:  # noqa: BLE001  (the code may raise anything, SystemExit too)
            return 3
        return 0


def lay(files: Mapping[str, str], folder: str) -> None:
    """Write the files, with the halves of surrogate pairs that a model may have left in them."""
    os.chdir(folder)
    for path, text in files.items():
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)


def limit(order: Mapping[str, Any], *, processes: bool) -> None:
    """Resource limits; a soft CPU limit raises SIGXCPU before the hard one kills."""
    limits = [
        (resource.RLIMIT_AS, order["memory"], order["memory"]),
        (resource.RLIMIT_CPU, order["cpu_s"], order["cpu_s"] + 1),
        (resource.RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    if processes:
        limits.append((resource.RLIMIT_NPROC, PROCESSES, PROCESSES))
    for kind, soft, hard in limits:
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise
            # A platform without this limit (macOS: RLIMIT_AS): sandbox.protections() says so.
