"""Run pytest warm: import and configure it once, then run one test file in each fork.

A warm session is made before the fork out of pytest's own parts (``Session`` and ``Config``, which are
not public API). Where they have changed, each fork calls ``pytest.main`` instead: slower, the same rows.

The test file is compiled from the order's text, not found by its name: no package or import hook of the
code can stand in its place, and a hidden one never lies on the disk.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import json
import os
import random
import resource
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pytest

MAX_TESTS, MAX_NAME, MAX_TEXT, MAX_SHORT_TEXT, MANY = 20_000, 500, 2000, 100, 200
PROCESSES = 64
FILE_BYTES = 16 << 20
OPEN_FILES = 128
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
        """Report a file that cannot be imported as an error with a reason."""
        if report.failed:
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
        import _pytest.assertion.rewrite  # before the limits, and before the code's own modules
        import _pytest.python
        import pytest

        vars(_pytest.python)["import_path"] = self.import_path

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
        sample = {"folder": self.folder, "test": "test_warm_up.py", "text": SAMPLE}
        self.collector.start(lambda *_: None, sample)
        self.pytest.main(self.arguments(self.folder), plugins=[self.collector])
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.startswith("test_warm_up"):
                del sys.modules[name]

    def prepared(self) -> pytest.Session | None:
        """Return a session that has only to collect and run; None where pytest's parts have changed."""
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
        """Run one test file and report, in a fork that has no other purpose.

        The first line says that the machine could not do it, or that the code is about to be run and why it
        does not compile, if so: whatever the code does, it comes too late to say so.
        """
        nonce, write, dumps = order["nonce"], os.write, json.dumps

        def report(*line: object) -> None:
            data = f"{nonce}{dumps(line)}\n".encode()
            while data:
                data = data[write(writer, data) :]

        try:
            lay(order["files"], order["folder"])
        except OSError as error:
            report("cannot", f"its copy of the files cannot be written: {error.strerror}")
            return
        problem = syntax_problem(order["code"])
        report("ready", problem)
        if problem and order.get("hidden"):
            report("end", 0, False)
            return
        random.seed(order["seed"])
        tempfile.tempdir = None  # the warm-up has found one
        sys.argv = ["pytest", order["test"]]
        sys.path += dict.fromkeys((order["folder"], import_root(order["folder"], order["test"])))
        self.collector.start(report, order)
        code = self.in_session(self.session) if self.session else self.in_main(order)
        # Which tests failed stands in the rows; that some did (the tripwire always does) is no news.
        report("end", 0 if code == 1 else code, self.collector.tripped)

    def import_path(self, path: Path, **_: object) -> types.ModuleType:
        """Import the test file from the order's text, with rewritten assertions; pytest calls this."""
        import _pytest.assertion.rewrite as assertions

        source = self.collector.order["text"].encode("utf-8", "surrogatepass")
        tree = ast.parse(source, filename=str(path))
        assertions.rewrite_asserts(tree, source, str(path))
        root = import_root(self.collector.folder, self.collector.order["test"])
        name = ".".join(Path(os.path.relpath(path, root)).with_suffix("").parts)
        module = types.ModuleType(name)
        module.__file__ = str(path)
        module.__package__ = name.rpartition(".")[0]
        if module.__package__:
            __import__(module.__package__)
        sys.modules[name] = module
        exec(compile(tree, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102
        return module

    def in_main(self, order: Mapping[str, Any]) -> int:
        """Run the test file as pytest does; return its exit code."""
        return int(self.pytest.main(self.arguments(order["folder"]), plugins=[self.collector]))

    def in_session(self, session: pytest.Session) -> int:
        """Do what ``pytest.main`` does after its preparations; return its exit code."""
        order, plugins = self.collector.order, session.config.pluginmanager
        if order["hidden"] and "caplog" not in order["text"] and plugins.has_plugin("logging-plugin"):
            plugins.unregister(name="logging-plugin")  # its part of each test's time is a tenth
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


def syntax_problem(path: str) -> str:
    """Return why a file does not compile, in one line; empty if it does, or is not there."""
    try:
        with open(path, "rb") as file:
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{path}:{error.lineno or 1}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{path}: {type(error).__name__}"
    except OSError:
        pass
    return ""


def import_root(folder: str, test: str) -> str:
    """Return the folder from which pytest imports a test file: the first above it that is no package."""
    root = os.path.dirname(os.path.join(folder, test))
    while root != folder and os.path.isfile(os.path.join(root, "__init__.py")):
        root = os.path.dirname(root)
    return root


def lay(files: Mapping[str, str], folder: str) -> None:
    """Write the files, with halves of surrogate pairs that a model may have left in them."""
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
