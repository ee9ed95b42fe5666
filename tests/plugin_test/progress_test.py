"""How far a run has come, as people see it."""

import os
import pty
import re
from contextlib import suppress

import pytest
import warm
from in_process import run_apart, run_here
from killing import TASK

PAIRS = """\
pairs:
  one: {orchestrator: {model: direct}, coder: oracle, backend: mock, epochs: 2}
  bad: {orchestrator: {model: direct}, coder: "bug:zero", backend: mock}
"""
BUG = """\
bugs:
- name: zero
  code: |
    def add(a, b):
        return 0
"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def repository(pytester):
    """Two solved trials and a wrong one, which are recorded."""
    folder = pytester.mkdir("benchmarks")
    (folder / "add.yaml").write_text(TASK + BUG)
    (folder / "pairs.yaml").write_text(PAIRS)
    pytester.makeini("[pytest]\n")
    return pytester


def in_terminal(root, *args, **variables):
    """What a run writes into a terminal of 80 columns, and where its cursor goes."""
    controller, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    environment |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", **variables}
    arguments = ["benchmarks", "-p", "no:cacheprovider", "--record=all", *args]
    with open(os.devnull) as nothing:
        process = warm.Pytest(arguments, root, environment, (nothing.fileno(), terminal, terminal))
    os.close(terminal)
    written = b""
    with suppress(OSError):  # Linux says so where the other side is closed
        while part := os.read(controller, 1 << 16):
            written += part
    os.close(controller)
    return process.wait(), written.decode()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.slow
def test_a_panel_in_a_terminal(workers, repository):
    """It counts, is no wider than the screen, takes the place of the letters, and is gone at the end."""
    code, written = in_terminal(repository.path, *workers)
    assert code == 0, written
    shown = CONTROL.sub("", written)
    panel = [line for line in re.split(r"[\r\n]+", shown) if " of 3 done, " in line]
    assert panel
    assert max(map(len, panel)) < 80
    assert "add.yaml .." not in shown
    assert "\x1b[?25h" in written[written.rindex(" of 3 done, ") :], "the cursor is shown again"
    assert "[100%]" not in shown
    assert "not solved" in shown[shown.rindex(" of 3 done, ") :]


@pytest.mark.parametrize(
    ("args", "variables"), [(("-q",), {}), (("-v",), {}), ((), {"TERM": "dumb"}), ((), {"CI": "true"})]
)
def test_no_panel(args, variables, repository):
    """Under -q and -v, in a dumb terminal and in CI nothing moves."""
    code, written = in_terminal(repository.path, *args, **variables)
    assert code == 0
    assert " of 3 done, " not in written
    assert "\x1b[?25l" not in written


@pytest.mark.slow
def test_a_line_now_and_then_in_a_log(repository):
    """Also while a trial hangs: what comes next to the letters stands on a line of its own."""
    repository.makeconftest(
        "import time\n"
        "from harness.plugin import progress\n"
        "from harness.plugin.session import BenchmarkSession\n"
        "progress.EVERY_S = 0.2\n"
        "real = BenchmarkSession.run\n"
        "def run(self, trial):\n"
        "    time.sleep(0.5)\n"
        "    return real(self, trial)\n"
        "BenchmarkSession.run = run\n"
    )
    result = run_apart(repository, "benchmarks", "--record=all")
    result.stdout.re_match_lines([r"^harness: 0 of 3 done, 1 running, 2 waiting, 0:0\d"])
    quiet = run_apart(repository, "benchmarks", "--record=all", "-q")
    assert " of 3 done" not in quiet.stdout.str()


def test_what_is_not_solved_is_listed_with_its_reason(repository):
    """A line each, cut to the screen; -q has none of it; a terminal plugin is not needed."""
    result = run_here(repository, "benchmarks", "--record=all")
    result.stdout.fnmatch_lines(["*= not solved =*", "wrong  bad/add/1  0 of 1 acceptance tests passed; *"])
    assert max(len(line) for line in result.outlines if line.startswith("wrong  ")) < 80
    assert "not solved" not in run_here(repository, "benchmarks", "-q").stdout.str()
    assert run_here(repository, "benchmarks", "-p", "no:terminal").ret == 0
