"""Hidden tests that the harness compiles for all their runs."""

import pytest

from harness.sandbox import HiddenTests, fork_server
from harness.sandbox.fork_server import ForkServer
from harness.sandbox.hidden_code import compiled
from harness.tasks.task import Limits

LIMITS = Limits(timeout_s=20)
FILES = {"add.py": "def add(a, b):\n    return [a, b]\n"}
TESTS = {
    "fails with what pytest tells": "import add\n\ndef test_x():\n    assert add.add(1, 2) == [1, 3]\n",
    "passes, and warns when compiled": "def test_x():\n    assert '\\d' in '\\d' and __file__\n",
    "does not compile": "def test_x(:\n",
    "holds half a character": "def test_x():\n    assert '\ud800'\n",
    "is nested too deeply": f"x = {'(' * 300}{')' * 300}\n",
}


@pytest.mark.parametrize("text", TESTS.values(), ids=TESTS)
def test_the_run_is_the_one_that_compiles_them_itself(text, sandbox, monkeypatch):
    """Same outcomes and same texts."""
    files, hidden = dict(FILES), HiddenTests(text)
    beforehand = sandbox.run(files, "test_x.py", LIMITS, code_path="add.py", hidden=hidden)
    monkeypatch.setattr(fork_server, "compiled", lambda *_: "")
    assert sandbox.run(files, "test_x.py", LIMITS, code_path="add.py", hidden=hidden) == beforehand


def test_what_a_model_wrote_is_never_compiled_here(sandbox, monkeypatch):
    """It might take all of the harness's memory."""
    monkeypatch.setattr(fork_server, "compiled", lambda *_: pytest.fail("compiled"))
    assert isinstance(sandbox, ForkServer)
    assert sandbox.run({"test_x.py": "def test_x(): assert 1"}, "test_x.py", LIMITS).passed


def test_a_file_is_compiled_once():
    """For all runs of a task in this process."""
    compiled.cache_clear()
    assert compiled(TESTS["passes, and warns when compiled"], "/x.py")
    assert compiled(TESTS["passes, and warns when compiled"], "/x.py")
    assert compiled.cache_info().misses == 1
