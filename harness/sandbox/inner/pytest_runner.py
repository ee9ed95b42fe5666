"""Run pytest warm: import and configure it once, then run one test file in each fork.

A warm session is made before the fork out of pytest's own parts (``Session`` and ``Config``, which are
not public API). Where they have changed, each fork calls ``pytest.main`` instead: slower, the same rows.

The test file is compiled from the order's text, not found by its name: no package or import hook of the
code can stand in its place, and a hidden one never lies on the disk.
"""

from __future__ import annotations

import ast
import base64
import gc
import json
import marshal
import os
import random
import resource
import sys
import tempfile
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .collector import Collector

if TYPE_CHECKING:
    import pytest

PROCESSES = 64
FILE_BYTES = 16 << 20
OPEN_FILES = 128
# Plugins whose fixtures tests may use (cache, record_property, doctest_namespace) stay.
WITHOUT = ("faulthandler", "pastebin", "stepwise", "unraisableexception")
OF_NO_USE = ("lfplugin", "nfplugin", "terminalreporter")  # they have their part in each run
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


class Runner:
    """Runs test files in one folder; made once, used in many forks.

    ``warm``: the folder exists already and stays at its place, so a session is made beforehand.
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
            for name in filter(config.pluginmanager.has_plugin, OF_NO_USE):
                config.pluginmanager.unregister(name=name)
        except Exception:  # noqa: BLE001  (whatever a future pytest raises here, the slow way still works)
            return None
        return session

    def run(self, order: Mapping[str, Any], writer: int) -> None:
        """Run one test file and report, in a fork that has no other purpose.

        The first line says that the machine could not do it, or that the code is about to be run and why it
        does not compile, if so: whatever the code does, it comes too late to say so.
        """
        nonce, write, dumps, number, leave = order["nonce"], os.write, json.dumps, os.getpid, os._exit
        own = number()

        def report(*line: object) -> None:
            if number() != own:
                leave(0)  # a fork of the code, left to go on with the tests: they are its parent's
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
        # Folders of the repository come first: the code must not stand in for what they hold.
        folder = order["folder"]
        sys.path += dict.fromkeys((*order["paths"], folder, import_root(folder, order["test"])))
        self.collector.start(report, order)
        code = self.in_session(self.session) if self.session else self.in_main(order)
        # Which tests failed stands in the rows; that some did (the tripwire always does) is no news.
        report("end", 0 if code == 1 else code, self.collector.tripped)

    def import_path(self, path: Path, **_: object) -> types.ModuleType:
        """Import the test file from the order's text, with rewritten assertions; pytest calls this."""
        code = self.code_of(str(path))
        root = import_root(self.collector.folder, self.collector.order["test"])
        name = ".".join(Path(os.path.relpath(path, root)).with_suffix("").parts)
        module = types.ModuleType(name)
        module.__file__ = str(path)
        module.__package__ = name.rpartition(".")[0]
        if module.__package__:
            __import__(module.__package__)
        sys.modules[name] = module
        exec(code, vars(module))  # noqa: S102
        return module

    def code_of(self, path: str) -> types.CodeType:
        """Return the test file's code: the harness may have compiled it beforehand."""
        import _pytest.assertion.rewrite as assertions

        order = self.collector.order
        if given := order.get("compiled"):
            code: types.CodeType = marshal.loads(base64.b64decode(given))  # noqa: S302  (the harness's own)
            return code
        source = order["text"].encode("utf-8", "surrogatepass")
        tree = ast.parse(source, filename=path)
        assertions.rewrite_asserts(tree, source, path)
        return compile(tree, path, "exec", dont_inherit=True)

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
