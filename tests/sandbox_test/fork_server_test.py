"""harness/sandbox: model-written code in real processes that can do little harm and always end."""

import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from threading import Thread

import pytest

from harness.errors import SandboxError
from harness.sandbox import TestRun, Visible, filesystem_view, fork_server, process
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, protections
from harness.tasks.task import Limits

ISOLATED = protections()["own processes"]
OK = "def test_ok():\n    assert True\n"
isolated_only = pytest.mark.skipif(not ISOLATED, reason="this machine forbids namespaces, and says so")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the sandbox makes its folders: nothing may be left in it."""
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert os.listdir(place) == []


def run(test, *, test_path="test_x.py", timeout_s=5.0, memory_mb=512, **files):
    """Run one test file, beside other files given as ``name=text``."""
    named = {f"{name}.py": text for name, text in files.items()}
    limits = Limits(timeout_s=timeout_s, memory_mb=memory_mb)
    return server().run({test_path: test, **named}, test_path, limits)


@functools.cache
def server():
    """The fork server of this module's tests; it ends with this process."""
    return ForkServer()


@functools.cache
def open_server():
    """A fork server as a machine that forbids namespaces gives it."""
    return ForkServer(isolation=("none",))


def outcomes(result):
    return [test.outcome for test in result.tests]


# --- status -----------------------------------------------------------------------------------------

STATUSES = {
    "passes": (OK, "passed"),
    "fails": ("def test_a():\n    assert 1 == 2\n", "failed"),
    "empty": ("", "no_tests"),
    "all-skipped": (
        "import pytest\n@pytest.mark.skip\ndef test_a(): pass\ndef test_b(): pytest.skip()\n",
        "no_tests",
    ),
    "all-xfail": ("import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0\n", "no_tests"),
    "xpass": (OK + "import pytest\n@pytest.mark.xfail\ndef test_a(): pass\n", "failed"),
    "setup-error": ("import pytest\n@pytest.fixture\ndef f(): 1/0\ndef test_a(f): pass\n", "failed"),
    "teardown-error": (
        "import pytest\n@pytest.fixture\ndef f():\n    yield\n    1/0\ndef test_a(f): pass\n",
        "failed",
    ),
    "import-error": ("import no_such_module\n" + OK, "failed"),
    "syntax-error": ("def test_a(:\n", "failed"),
    "os-exit-at-import": ("import os\nos._exit(0)\n" + OK, "crashed"),
    "os-exit-in-a-test": (OK + "import os\ndef test_z(): os._exit(0)\n", "crashed"),
    "exit-like-a-signal": ("import os\nos._exit(152)\n" + OK, "crashed"),
    "sys-exit-at-import": ("import sys\nsys.exit(0)\n" + OK, "crashed"),
    "sys-exit-in-a-test": ("import sys\ndef test_a(): sys.exit(0)\n", "failed"),
    "pytest-exit": (OK + "import pytest\ndef test_z(): pytest.exit('x', returncode=0)\n", "crashed"),
    "interrupt": (OK + "def test_z(): raise KeyboardInterrupt\n", "crashed"),
    "segfault": ("import ctypes\ndef test_a(): ctypes.string_at(0)\n", "crashed"),
    "recursion": ("def f(): return f()\ndef test_a(): f()\n", "failed"),
    "memory": ("def test_a(): bytearray(10**10)\n", "memory"),
}


@functools.cache
def ran(name):
    """The run of one of the cases above: what is looked at twice runs once."""
    return run(STATUSES[name][0])


@pytest.mark.parametrize("name", STATUSES)
def test_a_run_has_the_status_of_what_happened(name):
    """``passed`` takes a test that ran and passed; leaving early by any door is not it."""
    status = STATUSES[name][1]
    assert ran(name).status == status
    assert ran(name).passed == (status == "passed")


@pytest.mark.parametrize("name", ["os-exit-at-import", "sys-exit-at-import", "interrupt", "segfault"])
def test_a_run_that_did_not_finish_says_how_it_ended(name):
    """A crash has a reason that a person, and the next prompt, can be told."""
    assert ran(name).detail.strip()


def test_each_test_has_its_outcome_and_reason():
    """The rows stand in the order of the file, each failure with its assertion first and its line."""
    result = run(
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b():\n    assert 1 + 1 == 3\n"
        "@pytest.mark.skip\ndef test_c(): pass\n"
        "@pytest.mark.xfail\ndef test_d(): assert 0\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_e(n): assert n == 1\n"
    )
    assert [test.name for test in result.tests] == [
        f"test_x.py::test_{name}" for name in ("a", "b", "c", "d", "e[1]", "e[2]")
    ]
    assert outcomes(result) == ["passed", "failed", "skipped", "xfailed", "passed", "failed"]
    assert result.passes == 2
    assert result.tests[1].text == "assert (1 + 1) == 3\nat test_x.py:4"
    assert result.tests[0].text == ""


def test_many_tests_are_all_counted():
    """A file of hundreds of passing cases passes."""
    test = "import pytest\n@pytest.mark.parametrize('n', range(600))\ndef test_a(n): pass\n"
    assert run(test, timeout_s=20).status == "passed"


def test_many_long_failures_are_failures():
    """A lot of output from the tests is cut test by test, and not taken for a crash of the runner."""
    many = "import pytest\n@pytest.mark.parametrize('n', range(120))\n"
    result = run(f"{many}def test_a(n): raise ValueError('\\u00e9' * 3000)\n", timeout_s=20)
    assert result.status == "failed"
    assert 1000 < max(len(each.text) for each in result.tests) < 3000


def test_a_word_in_a_message_is_no_lack_of_memory():
    """An assertion about the text MemoryError is an ordinary failure."""
    assert run("def test_a():\n    assert 'MemoryError' == 'other'\n").status == "failed"


# --- time -------------------------------------------------------------------------------------------

ENDLESS = {
    "sleeps-at-import": "import time\ntime.sleep(60)\n",
    "floods-and-ignores-signals": (
        "import os, signal\n"
        "for n in range(1, 64):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "def test_a():\n    while True: os.write(1, b'x' * 65536); print('y' * 65536)\n"
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_code_that_never_ends_is_ended(name):
    """Whatever it does meanwhile, it is over soon after its time, and called a timeout."""
    began = time.monotonic()
    result = run(ENDLESS[name], timeout_s=1)
    assert result.status == "timeout"
    assert result.detail
    assert time.monotonic() - began < 15


def test_much_output_is_no_harm():
    """Megabytes on both streams neither block the tests nor reach the result."""
    result = run(
        "import sys\ndef test_a():\n    for s in (sys.stdout, sys.stderr): s.write('x' * 20_000_000)\n"
    )
    assert result == TestRun("passed", result.tests, collected=1)


@isolated_only
def test_a_process_that_hides_is_gone_afterwards():
    """A grandchild in a session of its own does not outlive the run, nor hold it up."""
    marker = f"marker-{uuid.uuid4().hex}"
    spawn = (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        code = 'import time; time.sleep(300)'\n"
        f"        os.execv(sys.executable, [sys.executable, '-c', code, '{marker}'])\n"
        "    os._exit(0)\n"
    )
    wait = (
        f"def test_a():\n    while not any(b'{marker}' in seen() for _ in [0]): pass\n"
        "def seen():\n    import glob\n    found = b''\n"
        "    for p in glob.glob('/proc/[0-9]*/cmdline'):\n"
        "        try: found += open(p, 'rb').read()\n"
        "        except OSError: pass\n    return found\n"
    )
    began = time.monotonic()
    assert run("import os, sys\n" + spawn + wait, timeout_s=10).status == "passed"
    assert time.monotonic() - began < 10
    deadline = time.monotonic() + 5
    while still_there(marker):
        assert time.monotonic() < deadline, "the process outlived its run"


def still_there(marker):
    """Whether a process with this word in its command line runs on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                return True
        except OSError:
            continue  # it ended while it was looked at
    return False


# --- what the code can reach ------------------------------------------------------------------------


def test_code_finds_an_empty_environment_and_limits(monkeypatch):
    """No variable, argument, input or open file of the harness reaches the code, and its limits hold."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cret-of-the-harness")
    monkeypatch.setenv("PYTHONPATH", "/s3cret")
    result = run(
        "import os, sys, stat, pytest\nimport resource as r\n"
        "ALLOWED = {'PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ', 'PYTHONHASHSEED',\n"
        "           'PYTEST_DISABLE_PLUGIN_AUTOLOAD', 'PYTEST_VERSION', 'PYTEST_CURRENT_TEST',\n"
        "           'MALLOC_ARENA_MAX', 'LOGNAME', 'OPENBLAS_NUM_THREADS',\n"
        "           'OMP_NUM_THREADS', 'MKL_NUM_THREADS'}\n"
        "def test_environment():\n"
        "    assert set(os.environ) <= ALLOWED\n"
        "    assert 's3cret' not in repr(dict(os.environ)) + repr(sys.argv) + repr(sys.path)\n"
        "def test_home(): assert os.path.realpath(os.environ['HOME']) == os.getcwd()\n"
        "def test_stdin():\n"
        "    with pytest.raises(EOFError): input()\n"
        "    assert os.read(0, 10) == b''\n"
        "def test_files():\n"
        "    assert sorted(os.listdir('.')) in (['test_x.py'], ['__pycache__', 'test_x.py'])\n"
        "def test_descriptors():\n"
        "    kinds = [fd for fd in range(3, 256) if is_open(fd) and stat.S_ISREG(os.fstat(fd).st_mode)]\n"
        "    assert kinds == []\n"
        "def is_open(fd):\n"
        "    try: return bool(os.fstat(fd))\n"
        "    except OSError: return False\n"
        "def test_limits():\n"
        "    assert r.getrlimit(r.RLIMIT_FSIZE)[1] <= 64 << 20\n"
        "    assert r.getrlimit(r.RLIMIT_NOFILE)[1] <= 1024\n"
        "    assert r.getrlimit(r.RLIMIT_CORE) == (0, 0)\n"
        "    assert r.getrlimit(r.RLIMIT_CPU)[0] <= 10\n"
        "    assert r.getrlimit(r.RLIMIT_AS)[1] == 300 << 20 or sys.platform != 'linux'\n",
        memory_mb=300,
    )
    assert result.status == "passed", result.tests


@isolated_only
def test_the_harness_environment_cannot_be_read_through_proc(pytester, monkeypatch):
    """A key that the harness was started with is in no file of /proc that the code may open."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cret-of-the-start")
    code = (
        "import glob\n"
        "def test_a():\n"
        "    for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "        try: data = open(path, 'rb').read()\n"
        "        except OSError: continue\n"
        "        assert b's3cret-of-the-start' not in data\n"
    )
    script = (
        "from harness.sandbox.fork_server import ForkServer\nfrom harness.tasks.task import Limits\n"
        "with ForkServer() as server:\n"
        f"    print(server.run({{'test_x.py': {code!r}}}, 'test_x.py', Limits()).status)\n"
    )
    assert pytester.run(sys.executable, "-c", script).outlines == ["passed"]


@pytest.mark.skipif(not protections()["no network"], reason="this machine forbids it, and says so")
def test_code_has_no_network():
    """A listener of this machine hears nothing, and the code is told that there is no way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        result = run(
            "import socket, pytest\n"
            f"@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost', '1.1.1.1'])\n"
            "def test_tcp(host):\n"
            f"    with pytest.raises(OSError): socket.create_connection((host, {port}), timeout=1)\n"
            "def test_udp():\n"
            "    with pytest.raises(OSError):\n"
            f"        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))\n"
        )
        assert result.status == "passed", result.tests
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_least_memory_that_a_task_may_ask_for_is_enough():
    """A limit that the task file allows does not crash the runner itself."""
    assert run(OK, memory_mb=64).status == "passed"


# --- the workspace ----------------------------------------------------------------------------------


def test_every_run_gets_a_fresh_copy():
    """What a run leaves, changes or deletes is not there for the next; the given files stay as they are."""
    test = (
        "import os, add\n"
        "def test_a():\n"
        "    assert add.x == 1 and not os.path.exists('left')\n"
        "    open('left', 'w').close()\n"
        "    open('add.py', 'w').write('x = 2')\n"
    )
    files = {"test_x.py": test, "add.py": "x = 1\n"}
    for _ in range(2):
        assert server().run(files, "test_x.py", Limits(timeout_s=5)).status == "passed"
    assert files["add.py"] == "x = 1\n"


MESSES = {
    "closed": (
        "os.makedirs('d/e'); open('d/e/f', 'w').close(); os.chmod('d/e', 0); os.chmod('d', 0)\n"
        "os.symlink('/', 'root'); os.symlink('loop', 'loop')\n"
        "os.link('test_x.py', 'hard'); os.mkfifo('fifo')\n"
        "open('a\\nb', 'w').close(); open(b'\\xff\\xfe', 'w').close(); open('-rf', 'w').close()\n"
        "os.chmod('.', 0o500)"
    ),
    "deep": "d = 'd' * 200\nfor _ in range(40): os.mkdir(d); os.chdir(d)",
    "gone": "import shutil; shutil.rmtree(os.getcwd())",
}


@pytest.mark.parametrize("name", MESSES)
def test_a_folder_is_removed_whatever_is_in_it(name, folder):
    """No closed folder, link, pipe or odd name keeps it on the disk; links are not followed."""
    (folder.parent / "neighbour").write_text("kept", encoding="utf-8")
    body = "".join(f"    {line}\n" for line in MESSES[name].splitlines())
    result = run(f"import os\ndef test_a():\n    os.symlink({str(folder.parent)!r}, 'up')\n{body}")
    assert result.status == ("failed" if name == "gone" else "passed"), result
    assert os.listdir(folder) == []
    assert (folder.parent / "neighbour").exists()


@isolated_only
def test_a_folder_is_removed_while_somebody_writes_into_it():
    """A process that the code left behind cannot keep its folder alive."""
    test = (
        "import os\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    n = 0\n"
        "    while True:\n"
        "        n += 1\n"
        "        try:\n"
        "            os.makedirs(f'd{n % 50}/e', exist_ok=True)\n"
        "            open(f'd{n % 50}/e/{n}', 'w').close()\n"
        "        except OSError: pass\n"
    )
    assert run(test + OK).status == "passed"


def test_files_of_the_workspace_do_not_replace_the_runners():
    """A file named like pytest, a part of Python, or its configuration changes nothing in the run."""
    result = run(
        "import json, pytest\nfrom pkg.core import x\n"
        "def test_a():\n    assert json.loads('[1]') == [1] and pytest.raises and x == 1\n",
        pytest="raise SystemExit(0)\n",
        _pytest="raise SystemExit(0)\n",
        json="raise SystemExit(0)\n",
        conftest="raise SystemExit(0)\n",
        sitecustomize="raise SystemExit(0)\n",
        usercustomize="raise SystemExit(0)\n",
    )
    assert result.status == "failed"  # pkg.core is missing: the test file itself was reached
    assert "pkg" in result.tests[0].text


def test_a_configuration_in_the_workspace_is_not_read():
    """A model cannot deselect its own tests."""
    files = {
        "test_x.py": "def test_a(): assert 0\n",
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "tox.ini": "[pytest]\naddopts = --collect-only\n",
        "setup.cfg": "[tool:pytest]\naddopts = --collect-only\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--collect-only'\n",
    }
    result = server().run(files, "test_x.py", Limits(timeout_s=5))
    assert outcomes(result) == ["failed"]


def test_a_test_file_in_a_folder_imports_from_the_workspace():
    """Packages and folders work as they do beside a repository."""
    files = {
        "tests/test_x.py": "from pkg.core import x\ndef test_a(): assert x == 1\n",
        "pkg/core.py": "x = 1\n",
    }
    result = server().run(files, "tests/test_x.py", Limits(timeout_s=5))
    assert [test.name for test in result.tests] == ["tests/test_x.py::test_a"]
    assert result.status == "passed"


def test_odd_characters_in_code_are_the_codes_affair():
    """A file with NUL or half a surrogate pair fails to import; it does not end the run, or the harness."""
    result = run(
        "import importlib, pytest\n"
        "@pytest.mark.parametrize('name', ['nul', 'half'])\n"
        "def test_a(name): importlib.import_module(name)\n",
        nul="x = '\x00'\n",
        half="x = '\ud800'\n",
    )
    assert outcomes(result) == ["failed", "failed"]


@pytest.mark.parametrize("path", ["add.py/x.py", "test_x.py/x.py"])
def test_files_that_cannot_lie_side_by_side_are_no_fault_of_the_machine(path):
    """A model that names a file below a file gets a result; the disk is not blamed."""
    files = {"add.py": "x = 1\n", "test_x.py": OK, path: "y = 1\n"}
    remedy = ""
    try:
        server().run(files, "test_x.py", Limits(timeout_s=5))
    except SandboxError as error:
        remedy = error.remedy
    assert "TMPDIR" not in remedy


def test_a_disk_that_cannot_be_written_is_an_infra_error(monkeypatch, tmp_path):
    """Where no copy can be laid, the error is the sandbox's and not the model's."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
        with pytest.raises(SandboxError):
            open_server().run({"test_x.py": OK}, "test_x.py", Limits())


# --- forging and breaking the report ----------------------------------------------------------------

WRITES = "for fd in range(3, 128):\n        try: os.write(fd, DATA)\n        except OSError: pass\n"
FORGED = {
    "junk": "b'junk'",
    "deep": "b'[' * 200_000",
    "wrong-types": "json.dumps({'nonce': nonce(), 'exit': [], 'collected': 'x', 'tests': 5}).encode()",
    "unknown-outcome": (
        "json.dumps({'nonce': nonce(), 'exit': 0, 'collected': 0,"
        " 'tests': [{'name': 'x', 'outcome': 'great', 'text': 'x'}]}).encode()"
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_broken_report_is_a_crash_of_the_code(name):
    """Code that writes into the harness's pipe breaks its own result and nothing else."""
    result = run(
        "import os, sys, json\n"
        "def nonce():\n"
        "    frame = sys._getframe()\n"
        "    while 'order' not in frame.f_locals: frame = frame.f_back\n"
        "    return frame.f_locals['order']['nonce']\n"
        f"def test_a():\n    DATA = {FORGED[name]}\n    {WRITES}    os._exit(0)\n"
    )
    assert result.status == "crashed"


# --- the same everywhere ----------------------------------------------------------------------------

NOISY = (
    "import os, sys, tempfile, time\n"
    "def test_address(): assert object() is None\n"
    "def test_path(): assert os.path.abspath('x') == 1\n"
    "def test_file(): assert __file__ == 1\n"
    "def test_duration(): raise ValueError(f'took {time.perf_counter():.3f}s')\n"
    "def test_set(): assert {'a', 'b', 'c', 'd', 'e'} == 1\n"
    "def test_lambda(): assert (lambda: 1) == 2\n"
    "def test_tmp(tmp_path): assert tmp_path == 1\n"
)


def twice(test, folder, monkeypatch):
    """The texts of two runs, as if on two machines: their temporary folders have names of other lengths."""
    texts = []
    for name in ("a", "another-temporary-folder-with-a-long-name"):
        (folder / name).mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(folder / name))
            result = run(test)
        (folder / name).rmdir()
        assert set(outcomes(result)) == {"failed"}
        texts.append({each.name: each.text for each in result.tests})
    return texts


def test_the_text_of_a_failure_is_the_same_in_every_run(folder, monkeypatch):
    """It goes into the next prompt and so into the cassette: no path, address or duration is in it."""
    one, other = twice(NOISY, folder, monkeypatch)
    assert one == other
    for noise in ("harness-", str(folder), "0x7", "0x5"):
        assert noise not in " ".join(one.values())


def test_a_path_that_was_cut_is_cleaned_too(folder, monkeypatch):
    """Where a text was shortened in the middle of a path, the rest of that path goes, too."""
    one, other = twice(
        "import os\n"
        "def test_environment(): assert dict(os.environ) == 1\n"
        "def test_list(): assert ['a' * 30, 'b' * 40, 'c' * 60, __file__, 'd' * 200] == 1\n"
        "def test_end(): raise ValueError('x' * 1970 + __file__)\n",
        folder,
        monkeypatch,
    )
    assert one == other
    assert "harness-" not in " ".join(one.values())


def test_chance_is_the_same_in_every_run(folder, monkeypatch):
    """Tests that draw numbers or make temporary files fail with the same words when they are replayed."""
    one, other = twice(
        "import random, tempfile\n"
        "def test_number(): assert random.random() == 1\n"
        "def test_file(): assert tempfile.mkdtemp() == 1\n",
        folder,
        monkeypatch,
    )
    assert one == other


def test_a_path_of_this_machines_python_is_not_told():
    """Where Python is installed differs between machines, and so would the next prompt."""
    (test,) = run("from json import no_such_name\n").tests
    assert "no_such_name" in test.text
    assert "/" not in test.text.replace("json/__init__.py", "")


# --- protections ------------------------------------------------------------------------------------


def test_protections_are_told_by_name():
    """What this machine can enforce is a list of yes and no."""
    told = protections()
    assert set(told) >= {"group kill", "limits", "no network", "own processes", "hidden files"}
    assert all(isinstance(value, bool) for value in told.values())
    assert told["group kill"]


@pytest.mark.parametrize("name", ["os-exit-at-import", "segfault"])
def test_without_namespaces_the_status_is_the_same(name):
    """A machine that forbids namespaces gives weaker isolation and the same results."""
    test, status = STATUSES[name]
    assert open_server().run({"test_x.py": test}, "test_x.py", Limits()).status == status


def test_without_namespaces_a_failure_has_the_same_words():
    """The folder of the run has another name each time; it is in no text."""
    test = (
        "import os, tempfile\n"
        "def test_a(tmp_path): assert tmp_path == 1\n"
        "def test_b(): raise ValueError(os.path.abspath('x'), tempfile.gettempdir())\n"
    )
    assert open_server().run({"test_x.py": test}, "test_x.py", Limits()).tests == run(test).tests


def test_without_namespaces_the_group_is_killed():
    """A child that stays in its group ends with the run there, too."""
    marker = f"marker-{uuid.uuid4().hex}"
    command = f"[sys.executable, '-c', 'import time; time.sleep(300)', '{marker}']"
    test = f"import subprocess, sys\nCHILD = subprocess.Popen({command})\n" + OK
    result = open_server().run({"test_x.py": test}, "test_x.py", Limits())
    assert result.status == "passed"
    deadline = time.monotonic() + 5
    while sys.platform == "linux" and still_there(marker):
        assert time.monotonic() < deadline, "the process outlived its run"


@pytest.mark.skipif(not protections()["read-only disk"], reason="this machine cannot make the disk read-only")
def test_code_cannot_write_elsewhere(tmp_path):
    """Nothing outside the run's own folder can be written, made or removed."""
    (tmp_path / "here").write_text("x", encoding="utf-8")
    test = (
        "import os, pytest\n"
        f"@pytest.mark.parametrize('do', [lambda: open({str(tmp_path / 'new')!r}, 'w'),"
        f" lambda: os.remove({str(tmp_path / 'here')!r}), lambda: os.mkdir({str(tmp_path / 'd')!r})])\n"
        "def test_a(do):\n    with pytest.raises(OSError): do()\n"
        "def test_b(tmp_path):\n    (tmp_path / 'mine').write_text('x')\n    open('mine', 'w').close()\n"
    )
    assert run(test).status == "passed"
    names = {path.name for path in tmp_path.iterdir()}
    assert ("here" in names, names & {"new", "d"}) == (True, set())


@pytest.fixture
def busy_server():
    """A fork server that shares one core with five processes which never rest."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    burners = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(5)]
    try:
        with ForkServer() as busy:
            yield busy
    finally:
        os.sched_setaffinity(0, cores)
        for each in burners:
            each.kill()
            each.wait()


WORKS = "import time\ndef test_a():\n    while time.process_time() < 0.8: pass\n"
SLEEPS = "import time\ndef test_a(): time.sleep(100)\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin processes")
def test_a_busy_machine_makes_no_timeout(busy_server):
    """Time without a core does not count: work of 0.8 s ends within 1.5 s; who sleeps gains nothing."""
    limits = Limits(timeout_s=1.5, memory_mb=512)
    began = time.monotonic()
    assert busy_server.run({"test_x.py": WORKS}, "test_x.py", limits).passed
    assert time.monotonic() - began > 1.5, "the machine was not busy"
    began = time.monotonic()
    assert busy_server.run({"test_x.py": SLEEPS}, "test_x.py", limits).status == "timeout"
    assert time.monotonic() - began < 1.5 * fork_server.BACKSTOP


# --- the server -------------------------------------------------------------------------------------


def rows_below(pid):
    """How many processes descend from this one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended while it was looked at
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return len(found) - 1


@isolated_only
def test_a_server_that_dies_at_its_start_takes_no_wall_down():
    """Only a machine that refuses isolation runs without them; a death is tried again, with them."""
    with ForkServer(isolation=("namespaces", "none")) as server:
        for _ in range(2):
            server.start()
            server._server.kill()
            result = server.run({"test_x.py": OK}, "test_x.py", Limits())
            assert result.passed
            assert server.protections["hidden files"]
            server.close()


def test_where_walls_are_refused_the_next_kind_is_tried(monkeypatch):
    """Without isolation the protections say so; where none may be missing, nothing runs."""
    monkeypatch.setattr(filesystem_view, "MOUNT_POINTS", ())
    with ForkServer(isolation=("namespaces", "none")) as server:
        assert server.run({"test_x.py": OK}, "test_x.py", Limits()).passed
        assert not any(server.protections[name] for name in ("no network", "hidden files", "no privileges"))
    if sys.platform == "linux":
        with ForkServer(isolation=("namespaces",)) as server, pytest.raises(SandboxError, match="cannot run"):
            server.run({"test_x.py": OK}, "test_x.py", Limits())


def test_an_answer_reaches_nobody_but_who_asked(monkeypatch):
    """After Ctrl-C in the middle of a run, the next run gets its own result."""
    with ForkServer() as server:
        assert server.run({"test_x.py": OK}, "test_x.py", Limits()).passed
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(process.Server, "_receive", interrupt)
            server.run({"test_x.py": "def test_one(): pass\n"}, "test_x.py", Limits())
        result = server.run({"test_x.py": "def test_two(): pass\n"}, "test_x.py", Limits())
    assert [test.name for test in result.tests] == ["test_x.py::test_two"]


def interrupt(_):
    raise KeyboardInterrupt


def test_an_answer_to_another_order_is_none():
    """Should one arrive all the same, its nonce gives it away."""
    with ForkServer() as server:
        server.run({"test_x.py": OK}, "test_x.py", Limits())
        server._server._send({**ORDER, "nonce": "other"})
        result = server.run({"test_x.py": "def test_two(): pass\n"}, "test_x.py", Limits())
    assert [test.name for test in result.tests] == ["test_x.py::test_two"]


ORDER = {
    "files": {"test_x.py": OK},
    "test": "test_x.py",
    "memory": 512 << 20,
    "cpu_s": 5,
    "timeout_s": 5,
    "seed": 0,
    "folder": process.WORK,
    "tmp": filesystem_view.TMP,
}


def test_a_server_that_is_killed_in_a_run_is_replaced(monkeypatch):
    """The run is done again by a new one; if that dies, too, the machine is named, not the code."""
    deaths = iter([True, False])
    wait = process.Server._wait

    def dying(server, *args):
        report, answer = wait(server, *args)
        if next(deaths):
            server.kill()
            answer = None  # just before it could tell how the run ended
        return report, answer

    monkeypatch.setattr(process.Server, "_wait", dying)
    with ForkServer() as server:
        assert server.run({"test_x.py": OK}, "test_x.py", Limits()).passed
        deaths = iter([True] * 9)
        with pytest.raises(SandboxError, match="died 3 times during the same run"):
            server.run({"test_x.py": OK}, "test_x.py", Limits())


@isolated_only
def test_closing_ends_a_run_of_another_thread():
    """Nothing of it is left, and the thread learns of it."""
    server = ForkServer()
    server.start()
    pid = server._server.pid
    endless = Thread(target=swallow, args=(server,))
    endless.start()
    deadline = time.monotonic() + 30
    while rows_below(pid) < 2:  # the server, and the run
        assert time.monotonic() < deadline, "the run did not start"
    server.close()
    endless.join(30)
    assert not endless.is_alive()
    assert rows_below(pid) == 0
    server.close()


def swallow(server):
    """A run that ends with its server, or that of the server that replaces it."""
    try:
        server.run({"test_x.py": "import time\ntime.sleep(3)\n" + OK}, "test_x.py", Limits())
    except SandboxError:
        pass


def test_signals_that_the_harness_blocks_do_not_reach_the_server():
    """A thread that blocks SIGCHLD, as some programs do, gets its results in time."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        with ForkServer() as server:
            assert server.run({"test_x.py": OK}, "test_x.py", Limits(timeout_s=20)).passed
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_many_threads_fit_into_the_usual_memory():
    """A pool of 32 is nothing hostile."""
    test = (
        "from concurrent.futures import ThreadPoolExecutor\nfrom threading import Barrier\n"
        "def test_a():\n    barrier = Barrier(32)\n"
        "    with ThreadPoolExecutor(32) as pool: list(pool.map(lambda _: barrier.wait(5), range(32)))\n"
    )
    assert run(test).status == "passed"


@isolated_only
def test_the_machine_has_no_name():
    """What differs between machines is not there to be seen."""
    assert run("import os\ndef test_a(): assert os.uname().nodename == 'sandbox'\n").status == "passed"


def test_a_file_may_be_named_like_a_part_of_the_sandbox():
    """The sandbox's own modules are not importable."""
    test = "import inner, pytest_runner\ndef test_a(): assert inner.x == pytest_runner.x == 1\n"
    assert run(test, inner="x = 1\n", pytest_runner="x = 1\n").status == "passed"


def test_files_larger_than_the_disk_of_a_run_are_no_fault_of_the_machine():
    """What a model wrote too much of is its outcome, not an infra error."""
    files = {f"big{number}.py": "#" * (10 << 20) for number in range(5)}
    result = server().run({"test_x.py": OK, **files}, "test_x.py", Limits())
    assert (result.status, result.detail) == ("crashed", "the files are larger than the sandbox's disk")


# --- the same verdict everywhere ----------------------------------------------------------------------

IN_TMP = """
import os, pathlib, pytest, tempfile

def test_tmp_is_free():
    pathlib.Path("/tmp/x").write_text("x")
    assert pathlib.Path("/tmp/x").read_text() == "x"
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        assert os.path.dirname(file.name) == "/tmp"

def test_another_run_left_nothing():
    assert not os.path.exists("/tmp/left")
    pathlib.Path("/tmp/left").touch()

def test_what_python_needs_stays_and_cannot_be_written():
    import ours
    where = pathlib.Path(ours.__file__)
    top = where.parents[-3]
    for change in (where.unlink, lambda: where.write_text(""), lambda: top.rename("/tmp/y")):
        with pytest.raises(OSError):
            change()
"""


def test_tmp_can_be_written_though_packages_live_below_it(tmp_path) -> None:
    """The verdict does not depend on where the environment stands: /tmp is free, and new for each run."""
    if not protections()["read-only disk"]:
        pytest.skip("this machine has no disk of its own for a run")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/ours.py").write_text("x = 1")
    sight = Sight(root=tmp_path, visible=Visible(paths=("lib",)))
    with ForkServer(sight=sight, isolation=("namespaces",)) as server:
        for _ in range(2):
            ran = server.run({"test_a.py": IN_TMP}, "test_a.py", Limits())
            assert [
                (test.name, test.outcome, test.text) for test in ran.tests if test.outcome != "passed"
            ] == []
            assert ran.passed


def test_the_fixtures_of_pytest(sandbox) -> None:
    """All that a test may ask pytest for is there."""
    names = (
        "cache, caplog, capsys, doctest_namespace, monkeypatch, pytestconfig, "
        "record_property, record_testsuite_property, recwarn, request, tmp_path, tmp_path_factory, tmpdir"
    )
    code = (
        f"def test_a({names}):\n    cache.set('a/b', 1)\n    assert cache.get('a/b', 0) == 1\n"
        "    record_property('a', 1)\n    record_testsuite_property('b', 2)\n"
    )
    assert sandbox.run({"test_a.py": code}, "test_a.py", Limits()).tests[0].text == ""
    assert sandbox.run({"test_a.py": code}, "test_a.py", Limits()).passed


@isolated_only
def test_no_run_can_tell_how_many_came_before():
    """Else a tester's file could pass in the first run, on the reference, and fail in those on bugs."""
    tells = "import os, subprocess\ndef test_it():\n    subprocess.run(['true'])\n    assert 0, os.getpid()\n"
    first, second = (run(tells).tests[0].text.partition("\n")[0] for _ in range(2))
    assert first == second
