"""Hostile and careless programs: each is contained, has the status it must have, and leaves nothing behind.

Each program is run twice, in a fork of the warm server and in a process of its own where pytest starts
anew: both must show the same tests with the same words.
"""

import functools
import textwrap
import uuid
from pathlib import Path

import pytest

from harness.errors import SandboxError
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, protections
from harness.tasks.task import Limits

MARK = f"hostile-{uuid.uuid4().hex}"
HIDDEN = (Path(__file__).parents[2], Path.home())
# Behind bubblewrap: files are not counted, the box is the code's own, and it can talk to itself.
OTHERWISE = {
    "makes-a-million-files": "failed or timeout",
    "removes-the-workspace": "failed or crashed",
    "listens-for-others": "passed",
}
TESTS = "from add import add\ndef test_a(): assert add(2, 2) == 4\ndef test_b(): assert add(1, 2) == 3\n"
WRONG = "def add(a, b): return 0\n"
RIGHT = "def add(a, b): return a + b\n"
SHORT = Limits(timeout_s=1, memory_mb=256)  # for what must be cut off
LONG = Limits(timeout_s=60, memory_mb=256)  # for what ends by itself, however busy the machine
pytestmark = pytest.mark.skipif(
    not all(protections().values()), reason="this machine cannot hold such programs, and says so"
)
LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"

# Looks for what the runner reported, to report the like itself.
SPY = """
import os
def read(path_or_fd):
    fd = os.open(path_or_fd, os.O_RDONLY | os.O_NONBLOCK) if isinstance(path_or_fd, str) else path_or_fd
    os.set_blocking(fd, False)
    return os.read(fd, 65536)
def add(a, b):
    seen = []
    for fd in range(3, 64):
        for place in (fd, f"/proc/self/fd/{fd}"):
            try: seen.append(read(place))
            except OSError: pass
    assert not any(b"collected" in text for text in seen)
    return 0
"""

# What the coder might write: the tests are honest, the code is not. (status, code)
CODE = {
    # leaving early
    "exits-at-import": ("crashed", "import os; os._exit(0)"),
    "sys-exits-at-import": ("crashed", "import sys; sys.exit(0)"),
    "exits-when-called": ("crashed", "import os\ndef add(a, b): os._exit(0)"),
    "sys-exits-when-called": ("failed", "import sys\ndef add(a, b): sys.exit(0)"),
    "interrupts": ("crashed", "def add(a, b): raise KeyboardInterrupt"),
    "leaves-pytest": ("crashed", "import pytest\ndef add(a, b): pytest.exit('done', returncode=0)"),
    "skips-the-tests": ("no_tests", "import pytest\ndef add(a, b): pytest.skip('no')"),
    "skips-the-file": ("no_tests", "import pytest\npytest.skip('no', allow_module_level=True)"),
    "expects-failure": ("no_tests", "import pytest\ndef add(a, b): pytest.xfail('no')"),
    "kills-itself": ("crashed", "import os\ndef add(a, b): os.kill(os.getpid(), 9)"),
    "stops-itself": ("timeout", "import os, signal\ndef add(a, b): os.kill(os.getpid(), signal.SIGSTOP)"),
    "sets-an-alarm": (
        "crashed",
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.5)\ndef add(a, b): time.sleep(9)",
    ),
    "segfaults": ("crashed", "import ctypes\ndef add(a, b): ctypes.string_at(0)"),
    "aborts": ("crashed", "import os\ndef add(a, b): os.abort()"),
    "becomes-another-program": ("crashed", "import os\ndef add(a, b): os.execv('/bin/true', ['true'])"),
    # attacking the harness's processes
    "kills-its-parent": (
        "failed",
        f"import os\ntry: os.kill(os.getppid(), 9)\nexcept OSError: pass\n{WRONG}",
    ),
    "stops-its-parent": (
        "failed",
        f"import os\ntry: os.kill(os.getppid(), 19)\nexcept OSError: pass\n{WRONG}",
    ),
    "interrupts-the-server": (
        "failed",
        f"import os\nfor n in (1, 2, 15, 17): \n  try: os.kill(1, n)\n  except OSError: pass\n{WRONG}",
    ),
    "limits-its-parent": (
        "failed",
        (
            "import os, resource as r\nfor kind in (r.RLIMIT_FSIZE, r.RLIMIT_CPU, r.RLIMIT_NOFILE):\n"
            f"    r.prlimit(os.getppid(), kind, (1, 1))\n{RIGHT}"
        ),
    ),
    "slows-its-parent": ("failed", f"import os\nos.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\n{RIGHT}"),
    "pins-its-parent": ("failed", f"import os\nos.sched_setaffinity(os.getppid(), {{0}})\n{RIGHT}"),
    "kills-everybody": ("failed", f"import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\n{WRONG}"),
    "traces-its-parent": ("failed", f"{LIBC}assert libc.ptrace(16, os.getppid(), 0, 0) == 0\n{RIGHT}"),
    "reads-its-parents-memory": ("failed", f"import os\nopen(f'/proc/{{os.getppid()}}/mem', 'rb')\n{RIGHT}"),
    "closes-every-file": ("crashed", f"import os\nos.closerange(3, 256)\n{RIGHT}"),
    "writes-into-every-file": (
        "forged",
        (
            "import os\nfor fd in range(3, 128):\n    try: os.write(fd, b'[\"end\", 0, true]\\n')\n"
            f"    except OSError: pass\n{RIGHT}"
        ),
    ),
    # changing the judge
    "passes-every-test": (
        "forged",
        f"import _pytest.python as p\np.Function.runtest = lambda self: None\n{WRONG}",
    ),
    "passes-every-phase": (
        "forged",
        (
            "import _pytest.runner as r\nsave = r.TestReport.from_item_and_call.__func__\n"
            "def lie(cls, item, call):\n    call.excinfo = None\n    return save(cls, item, call)\n"
            f"r.TestReport.from_item_and_call = classmethod(lie)\n{WRONG}"
        ),
    ),
    "passes-every-report": (
        "forged",
        (
            "import _pytest.reports as r\n"
            "r.TestReport.outcome = property(lambda self: 'passed', lambda self, value: None)\n"
            f"r.TestReport.failed = False\n{WRONG}"
        ),
    ),
    "empties-the-session": (
        "crashed",
        (
            "import sys\ndef add(a, b):\n    frame = sys._getframe()\n"
            "    while 'session' not in frame.f_locals: frame = frame.f_back\n"
            "    frame.f_locals['session'].items.clear()\n    return 4 if b == 2 else 3"
        ),
    ),
    "equals-everything": (  # not covered, as the docstring of harness.sandbox says
        "passed",
        "class Any:\n    def __eq__(self, _): return True\n    __hash__ = None\ndef add(a, b): return Any()",
    ),
    "fakes-the-functions": (
        "forged",
        f"import _pytest.python as p\np.Function._getobj = lambda self: (lambda **k: None)\n{WRONG}",
    ),
    "reads-its-own-report": ("failed", SPY),
    "blames-the-machine": (
        "crashed",
        (
            "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'your disk is full')\n"
            "    except OSError: pass\nos._exit(1)"
        ),
    ),
    # using up time, memory, files, processes
    "never-ends": ("timeout", "while True: pass"),
    "sleeps": ("timeout", "import time\ndef add(a, b): time.sleep(60)"),
    "ignores-signals": (
        "timeout",
        (
            "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
            "    except (OSError, ValueError): pass\nwhile True: pass"
        ),
    ),
    "recurses": ("failed", "def add(a, b): return add(a, b)"),
    "takes-all-memory": ("memory", "def add(a, b): return bytearray(10**10)"),
    "takes-memory-bit-by-bit": (
        "memory",
        "def add(a, b):\n    found = []\n    while True: found.append(bytearray(16 << 20))",
    ),
    "counts-to-the-moon": ("timeout", "def add(a, b): return 9 ** 9 ** 9"),
    "floods-the-output": (
        "timeout",
        "import os, sys\nwhile True:\n    os.write(1, b'x' * 65536); sys.stderr.write('y' * 65536)",
    ),
    "floods-the-disk": (
        "failed",
        (
            "def add(a, b):\n    for n in range(99):\n"
            "        with open(f'{n}', 'wb') as f: f.write(bytes(8 << 20))"
        ),
    ),
    "makes-a-giant-file": ("failed", "def add(a, b):\n    with open('f', 'wb') as f: f.truncate(1 << 40)"),
    "makes-a-million-files": (
        "failed",
        "def add(a, b):\n    for n in range(10**6): open(f'f{n}', 'w').close()",
    ),
    "opens-too-many-files": ("failed", "def add(a, b): return [open('add.py') for _ in range(10**4)]"),
    "fork-bomb": (
        "timeout",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    ),
    "forks-and-forks": (
        "failed",
        "import os, time\ndef add(a, b):\n    while os.fork(): pass\n    time.sleep(99)",
    ),
    "thread-bomb": (
        "failed or memory or crashed",  # whatever needs the next bit of memory first
        (
            "import threading, time\ndef add(a, b):\n"
            "    while True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
        ),
    ),
    "leaves-a-daemon": (
        "passed",
        (
            "import os, sys\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
            f"        os.execv(sys.executable, [sys.executable, '-c', 'while True: pass', '{MARK}'])\n"
            f"    os._exit(0)\n{RIGHT}"
        ),
    ),
    "leaves-a-thread": (
        "passed",
        f"import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()\n{RIGHT}",
    ),
    # reaching out
    "removes-the-workspace": ("failed", "import os, shutil\ndef add(a, b): shutil.rmtree(os.getcwd())"),
    "links-out": (
        "failed",
        f"import os\nos.symlink('{Path(__file__).parent}', 'out')\nopen('out/hostile_test.py')\n{RIGHT}",
    ),
    "reads-the-repository": ("failed", f"open({str(Path(__file__))!r})\n{RIGHT}"),
    "reads-the-home": (
        "failed",
        f"import os\nassert os.listdir({str(Path.home())!r}) != ['.pyenv']\n{RIGHT}",
    ),
    "reads-other-packages": ("failed", f"import pandas\n{RIGHT}"),
    "reads-the-hosts-passwords": ("failed", f"assert 'root' in open('/etc/passwd').read()\n{RIGHT}"),
    "writes-into-python": ("failed", f"import json\nopen(json.__file__, 'a')\n{RIGHT}"),
    "writes-into-pytest": ("failed", f"import pytest\nopen(pytest.__file__, 'a')\n{RIGHT}"),
    "writes-to-the-root": ("failed", f"open('/x', 'w')\n{RIGHT}"),
    "connects": ("failed", f"import socket\nsocket.create_connection(('127.0.0.1', 22), timeout=1)\n{RIGHT}"),
    "listens-for-others": (
        "failed",
        "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n"
        "socket.create_connection(s.getsockname(), timeout=1)\n" + RIGHT,
    ),
    # leaving something behind
    "shares-memory": ("failed", f"{LIBC}assert libc.shmget(4242, 4096, 0o1666) >= 0\n{RIGHT}"),
    "queues-a-message": ("failed", f"{LIBC}assert libc.msgget(4242, 0o1666) >= 0\n{RIGHT}"),
    "counts-a-semaphore": ("failed", f"{LIBC}assert libc.semget(4242, 1, 0o1666) >= 0\n{RIGHT}"),
    "opens-a-posix-queue": ("failed", f"{LIBC}assert libc.mq_open(b'/q', 0o102, 0o600, None) >= 0\n{RIGHT}"),
    "reads-the-keyring": (
        "failed",
        (
            f"{LIBC}calls = {{'x86_64': 250, 'aarch64': 219}}\n"
            f"assert libc.syscall(calls[os.uname().machine], 0, -3, 0, 0, 0) >= 0\n{RIGHT}"
        ),
    ),
    "goes-deep": (
        "passed",
        (
            "import os\nhere = os.getcwd()\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\n"
            f"os.chdir(here)\n{RIGHT}"
        ),
    ),
    # gaining privileges
    "makes-namespaces": ("failed", f"{LIBC}assert libc.unshare(0x10000000) == 0\n{RIGHT}"),
    "mounts": ("failed", f"{LIBC}assert libc.mount(b'x', b'/box/tmp', b'tmpfs', 0, None) == 0\n{RIGHT}"),
    "makes-the-disk-writable": (
        "failed",
        f"{LIBC}assert libc.mount(None, b'/', None, 0x1020, None) == 0\n{RIGHT}",
    ),
    "leaves-its-root": ("failed", f"{LIBC}assert libc.chroot(b'/box') == 0\n{RIGHT}"),
    "becomes-root": ("failed", f"import os\nos.setuid(0)\n{RIGHT}"),
    "raises-its-limits": (
        "failed",
        f"import resource as r\nr.setrlimit(r.RLIMIT_NPROC, (10**6, 10**6))\n{RIGHT}",
    ),
    "writes-kernel-settings": ("failed", f"open('/proc/sys/kernel/core_pattern', 'w')\n{RIGHT}"),
}

# What the tester might write, beside right code. (status, files)
TESTED = {
    "empty": ("no_tests", {"test_x.py": ""}),
    "only-comments": ("no_tests", {"test_x.py": "# def test_a(): pass\n"}),
    "all-skipped": ("no_tests", {"test_x.py": "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"}),
    "all-xfail": ("no_tests", {"test_x.py": "import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0\n"}),
    "xfail-that-passes": ("failed", {"test_x.py": "import pytest\n@pytest.mark.xfail\ndef test_a(): pass\n"}),
    "no-call-of-the-code": (
        "passed",
        {"test_x.py": "def test_a(): assert True\n"},
    ),  # the tester's grade tells
    "deselects-its-tests": (
        "no_tests",
        {
            "test_x.py": "pytest_plugins = ['evil']\ndef test_a(): assert 0\n",
            "evil.py": "def pytest_collection_modifyitems(config, items):\n"
            "    config.hook.pytest_deselected(items=items[:])\n    items.clear()\n",
        },
    ),
    "drops-its-failures": (
        "no_tests",
        {
            "test_x.py": "pytest_plugins = ['evil']\ndef test_a(): assert 0\n",
            "evil.py": "def pytest_collection_modifyitems(items): items.clear()\n",
        },
    ),
    "a-plugin-that-passes-all": (
        "forged",
        {
            "test_x.py": "pytest_plugins = ['evil']\ndef test_a(): assert 0\n",
            "evil.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
            "def pytest_pyfunc_call(pyfuncitem): return True\n",
        },
    ),
    "a-conftest-that-passes-all": (
        "failed",
        {
            "test_x.py": "def test_a(): assert 0\n",
            "conftest.py": "def pytest_pyfunc_call(pyfuncitem): return True\n",
        },
    ),
    "configuration-files": (
        "failed",
        {
            "test_x.py": "def test_a(): assert 0\n",
            "pytest.ini": "[pytest]\naddopts = --collect-only\n",
            "pytest.toml": "[pytest]\naddopts = ['--collect-only']\n",
            ".pytest.ini": "[pytest]\naddopts = --collect-only\n",
            "tox.ini": "[pytest]\naddopts = --collect-only\n",
            "setup.cfg": "[tool:pytest]\naddopts = --collect-only\n",
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--collect-only'\n",
        },
    ),
    "files-named-like-the-runners": (
        "failed",
        {
            "test_x.py": "import json, pytest\ndef test_a(): assert json.loads('0')\n",
            **{
                f"{name}.py": "raise SystemExit(0)\n"
                for name in ("pytest", "_pytest", "json", "sitecustomize")
            },
        },
    ),
    "a-stdlib-name-not-yet-imported": (
        "passed",
        {
            "test_x.py": "import colorsys\ndef test_a(): assert colorsys.rgb_to_hsv\n",
            "colorsys.py": "x = 1\n",
        },
    ),
    "writes-a-report-of-its-own": (
        "failed",
        {"test_x.py": "def test_a():\n    open('report.xml', 'w').write('<testsuite/>')\n    assert 0\n"},
    ),
    "half-a-surrogate-pair": ("failed", {"test_x.py": "def test_a(): assert '\\ud800' == '\\udfff'\n"}),
    "terminal-codes": (
        "failed",
        {"test_x.py": "def test_\x61(): raise ValueError('\\x1b]0;x\\x07\\x1b[31m')\n"},
    ),
    "does-not-compile": ("failed", {"test_x.py": "def test_a(:\n"}),
    "imports-nothing-that-is-there": (
        "failed",
        {"test_x.py": "from add import subtract\ndef test_a(): pass\n"},
    ),
}

# One for each way to end, and what depends on what has been imported already.
ALSO_FRESH = (
    "exits-at-import",
    "sys-exits-when-called",
    "interrupts",
    "sets-an-alarm",
    "floods-the-output",
    "a-stdlib-name-not-yet-imported",
    "half-a-surrogate-pair",
    "terminal-codes",
    "does-not-compile",
    "imports-nothing-that-is-there",
)


def program(name):
    """The status that a program must have, and its files."""
    if name in CODE:
        status, code = CODE[name]
        return status, {"test_x.py": TESTS, "add.py": textwrap.dedent(code)}
    status, files = TESTED[name]
    return status, {"add.py": RIGHT, **files}


def limits_for(status):
    """Little time only for what must run out of it: a slow machine must not cut off the others."""
    return SHORT if "timeout" in status else LONG


@functools.cache
def behind_bubblewrap():
    """The same for machines that allow namespaces to bubblewrap alone; None without bubblewrap."""
    server = ForkServer(sight=Sight(hidden=HIDDEN), isolation=("bubblewrap",))
    try:
        return server if server.protections else None
    except SandboxError:
        return None


@functools.cache
def warm():
    """The server that all programs meet, one after another; it ends with this process."""
    return ForkServer(sight=Sight(hidden=HIDDEN))


def fresh():
    """A process of its own for each run, in which pytest starts anew."""
    return ForkServer(sight=Sight(hidden=HIDDEN), warm=False)


def processes_below(pid):
    """The command lines of all processes that this process has started, and they in turn."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            line = path.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended while it was looked at
        children.setdefault(parent, []).append((int(path.parent.name), line))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += [line for _, line in below]
        waiting += [child for child, _ in below]
    return found


@pytest.mark.parametrize("name", [*CODE, *TESTED])
def test_a_hostile_program_is_contained(name):
    """It has its status; afterwards an honest run passes and nothing is left."""
    status, files = program(name)
    limits = limits_for(status)
    result = warm().run(files, "test_x.py", limits)
    assert result.status in status.split(" or "), result
    assert result.passed == (status == "passed")
    again = warm().run({"test_x.py": TESTS, "add.py": RIGHT}, "test_x.py", LONG)
    assert again.passed, again
    left = processes_below(warm()._server.pid)  # the one that waits for the server
    assert len(left) == 1, left


@pytest.mark.parametrize("name", ALSO_FRESH)
@pytest.mark.slow
def test_a_fresh_process_says_the_same(name):
    """Where pytest starts anew for the run, the result is that of the server that has it loaded."""
    status, files = program(name)
    limits = limits_for(status)
    assert fresh().run(files, "test_x.py", limits) == warm().run(files, "test_x.py", limits)


def test_bubblewrap_contains_them_too():
    """Where bubblewrap isolates, the same programs have the same status."""
    server = behind_bubblewrap()
    if server is None:
        pytest.skip("bubblewrap is not installed here, may not isolate, or would be run by root")
    for name in (*CODE, *TESTED):
        status, files = program(name)
        result = server.run(files, "test_x.py", limits_for(status))
        assert result.status in OTHERWISE.get(name, status).split(" or "), (name, result)
        again = server.run({"test_x.py": TESTS, "add.py": RIGHT}, "test_x.py", LONG)
        assert again.passed, (name, again)
        assert len(processes_below(server._server.pid)) == 1, name
