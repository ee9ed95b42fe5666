"""harness/grading/validate.py: is a task right, before a model sees it."""

import os
from pathlib import Path

import pytest

from harness.errors import SandboxError
from harness.grading import proofs
from harness.grading.proofs import proof
from harness.grading.python_source import emptied
from harness.grading.validate import check, stops_pytest
from harness.sandbox.fork_server import ForkServer
from harness.tasks.task import Bug

USES = "import add\n\n\ndef test_sum():\n    assert add.add(2, 3) == 5\n"
SETS = "from add import add\n\n\ndef test_sum():\n    assert add(2, 3) == 5\n\n\n{}"
TASK = """\
title: Add
spec: Implement add(a, b).
code_file: add.py
test_file: test_add.py
reference: "def add(a, b): return a + b"
acceptance: "def test(): pass"
"""
FLAKY = {
    "chance": "import random\ndef test_a(): assert random.random() < 0.6\n",
    "order-of-a-set": "def test_a(): assert next(iter({'a', 'b', 'c', 'd'})) == 'a'\n",
    "how-many": "import random, pytest\n@pytest.mark.parametrize('n', range(random.randint(1, 9)))\n"
    "def test_a(n): pass\n",
}


@pytest.fixture(scope="module")
def sandboxes(sandbox):
    """Two sandboxes with different seeds."""
    with ForkServer(seed=1) as other, ForkServer(seed=2) as third:
        yield [sandbox, other, third]


def found(task, sandboxes, **changes):
    """The problems of the task ``add`` with some fields changed."""
    return proof(task.model_copy(update=changes), sandboxes).problems


def test_a_right_task_has_no_problem(task, sandboxes):
    """Neither with bugs nor without, however it imports the code."""
    bug = Bug(name="subtracts", code="def add(a, b):\n    return a - b\n")
    assert found(task, sandboxes) == found(task, sandboxes, bugs=(bug,), acceptance=USES) == []


@pytest.mark.parametrize("name", FLAKY)
def test_a_flaky_acceptance_test_is_named(name, task, sandboxes):
    """What depends on chance or on the order of a set is told, with the test."""
    (line,) = found(task, sandboxes, acceptance=SETS.format(FLAKY[name]))
    assert ("does not pass acceptance" in line) or ("not the same in 3 runs with different seeds" in line)
    assert "test_a" in line


def test_a_flaky_bug_is_named(task, sandboxes):
    """A known bug that is caught by chance only makes no good bug."""
    code = "import random\n\n\ndef add(a, b):\n    return a + b + 1 + int(random.random() * 9) % 2\n"
    tests = ("def test_a(): assert add(1, 1) == 2\n", "def test_b(): assert add(1, 1) != 3\n")
    acceptance = "from add import add\n" + "".join(tests)
    (line,) = found(task, sandboxes, acceptance=acceptance, bugs=(Bug(name="chance", code=code),))
    assert line.startswith("bugs: 'chance': not the same in 3 runs")


@pytest.mark.parametrize(
    "acceptance",
    [
        "from add import add, total\ndef test_a(): assert add(1, 1) == total(1, 1) == 2\n",
        "import add\ndef test_a(): assert add.total(1, 1) == 2\n",
        "import add as x\ndef test_a(): assert x.total(1, 1) == 2\n",
    ],
)
def test_a_name_that_the_spec_does_not_tell_is_refused(acceptance, task, sandboxes):
    """Whoever only reads the spec cannot know it; a name in a given file is known."""
    code = "def add(a, b):\n    return a + b\n\n\ntotal = add\n"
    said = "acceptance: uses 'total', which the spec does not name"
    assert found(task, sandboxes, acceptance=acceptance, reference=code) == [said]
    told = task.spec + " Call it total(a, b), too."
    assert found(task, sandboxes, acceptance=acceptance, reference=code, spec=told) == []
    assert found(task, sandboxes, acceptance=acceptance, reference=code, files={"add.py": code}) == []


def test_functions_that_do_nothing(task, sandboxes):
    """Acceptance that empty functions pass is refused: it would call anything solved."""
    assert found(task, sandboxes, acceptance="import add\ndef test_a(): add.add(1, 2)\n") == [
        "acceptance: passes on functions that do nothing; sharpen the tests"
    ]
    assert proof(task, sandboxes).empty_solved is False


def test_a_reference_without_a_function(task, sandboxes):
    """Where there is no function to empty, nothing is said about it."""
    changes = {"reference": "add = 5\n", "acceptance": "import add\ndef test_a(): assert add.add == 5\n"}
    of_it = proof(task.model_copy(update=changes), sandboxes)
    assert (of_it.solved, of_it.empty_solved, of_it.problems) == (True, None, [])


def test_a_reference_that_does_not_compile(task, sandboxes):
    """It is told as that, and nothing is made of it."""
    of_it = proof(task.model_copy(update={"reference": "def add("}), sandboxes)
    assert (of_it.solved, of_it.empty_solved) == (False, None)
    assert "reference: does not compile" in of_it.problems[0]


def test_a_test_without_a_twin_is_named_as_a_warning(task, sandboxes):
    """Whoever writes a task learns which of its tests show nothing against forgers; that is no problem."""
    tests = "def test_a():\n    add(1, 2)\n\n\ndef test_b():\n    assert add(1, 1) > 1 or 1\n"
    acceptance = f"{task.acceptance}\n\n{tests}"
    of_it = proof(task.model_copy(update={"acceptance": acceptance}), sandboxes)
    assert (of_it.solved, of_it.problems) == (True, [])
    assert of_it.warnings == ("acceptance: no twin of test_a: it asserts nothing",)
    assert proof(task, sandboxes).warnings == ()


COMPUTED = "def test_it():\n    for n in (1, 2):\n        assert add(n, n) == sum([n, n])\n"
SHOWN = "ROW = [12, 34]\n\n\ndef test_it():\n    assert [add(5, 7), add(4, 30)] == ROW\n    add(*ROW)\n"
DEFAULT = (
    "def check():\n    assert add(12, 5) == 17\n\n\ndef test_it():\n    check()\n\n\n"
    "def test_all():\n    for each in (check,):\n        each()\n"
)
RAISED = "import pytest\n\n\ndef test_it():\n    with pytest.raises(TypeError):\n        add(1, None)\n"


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (COMPUTED, "what it expects is computed, or a truth"),
        (SHOWN, "the values that it expects stand elsewhere in its file"),
        (DEFAULT, "the values that it expects stand elsewhere in its file"),
        (RAISED, "it expects an exception alone"),
    ],
)
def test_tests_that_tell_what_they_expect_are_named(task, sandboxes, tests, why):
    """Where no test is better, code that reads them could pass: a warning. One better one will do."""
    weak = task.model_copy(update={"acceptance": f"from add import add\n{tests}"})
    line = f"acceptance: code that reads its tests can pass them: test_it: {why}; write one out as a value"
    assert line in proof(weak, sandboxes).warnings
    better = weak.model_copy(update={"acceptance": f"{weak.acceptance}\n\n{task.acceptance}"})
    assert line not in proof(better, sandboxes).warnings


def test_a_twin_that_passes_on_the_reference_is_named(task, sandboxes):
    """What holds whatever is falsified shows nothing."""
    acceptance = (
        f"{task.acceptance}\n\ndef test_a():\n    try:\n        assert add(1, 2) == 3\n"
        "    except AssertionError:\n        pass\n"
    )
    (line,) = proof(task.model_copy(update={"acceptance": acceptance}), sandboxes).warnings
    assert line.startswith("acceptance: no twin of test_a: ")


@pytest.mark.slow
def test_a_warning_is_told_and_is_no_problem(tmp_path):
    """It stands before the last line, which says that the file is well."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    text = (Path(__file__).parents[2] / "benchmarks/functions/add.yaml").read_text()
    text = text.replace("bugs:", "  def test_nothing():\n      add(1, 1)\nbugs:", 1)
    (folder / "add.yaml").write_text(text)
    (checked,) = check(folder / "add.yaml", tmp_path)
    assert checked.problems == []
    assert checked.lines() == [
        "benchmarks/add.yaml: acceptance: no twin of test_nothing: it asserts nothing",
        "benchmarks/add.yaml: ok",
    ]


def test_emptied_functions():
    """Each function and method keeps its head only; what is no function stays."""
    code = "import os\nX = 1\nclass A:\n    async def f(self, a=1):\n        def g():\n            return 1\n"
    assert emptied(code) == "import os\nX = 1\n\nclass A:\n\n    async def f(self, a=1):\n        pass"
    assert emptied("X = 1\n") == ""


# --- files --------------------------------------------------------------------------------------------


NOT_INSTALLED = "there is no module 'nowhere' -> install the package that has it"


def test_a_sandbox_that_fails_ends_one_check_only(tmp_path, monkeypatch):
    """It is a problem of the file that was checked; the next file is checked too, and so is a pipe named."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(TASK)
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "many.yaml").write_text("source: nowhere.installed:tasks\ncollect: always\n")

    def fail(*_: object) -> None:
        raise SandboxError("no process can be started", remedy="free some memory")

    monkeypatch.setattr(proofs, "proof", fail)
    assert [(file.shown, file.problems) for file in check(tmp_path, tmp_path)] == [
        ("one.yaml", ["one.yaml: no process can be started -> free some memory"]),
        ("two.yaml", ["two.yaml: no process can be started -> free some memory"]),
        (
            "many.yaml",
            [f"many.yaml: source 'nowhere.installed:tasks': {NOT_INSTALLED}"],
        ),
        ("pipe.yaml", ["pipe.yaml: cannot be read: not a regular file"]),
    ]


MOCK = "m: {orchestrator: {model: openai/o}, coder: oracle, backend: mock}"
REAL = "r: {orchestrator: {model: openai/o}, coder: c}"


@pytest.mark.parametrize(
    ("pairs", "environment", "said"),
    [
        (None, {}, "there is no pairs.yaml -> `harness init` writes one, or pass --orchestrator and --coder"),
        (None, {"ORCH_MODEL": "openai/o"}, ""),
        (f"pairs: {{{MOCK}, {REAL}}}", {}, "the pair m is a mock, and r is not: one table would show both"),
        (f"pairs: {{{MOCK}}}", {}, ""),
        (f"pairs: {{{REAL[:-1]}, on_request: true}}}}", {}, "all pairs of pairs.yaml run on request only"),
        ("pairs: {}", {}, ""),  # a problem of the file, and named as that
    ],
)
def test_what_would_stop_a_plain_pytest(pairs, environment, said, tmp_path):
    """Each file may be right, and pytest end before the first trial: the warning says why."""
    if pairs is not None:
        (tmp_path / "pairs.yaml").write_text(pairs)
    found = stops_pytest(tmp_path, tmp_path, environment)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_an_orchestrator_that_is_no_handle_is_a_warning(tmp_path):
    """A misspelt direct would look for a Letta server."""
    words = {"a": "dirct", "b": "gpt-5-mini", "c": "direct", "d": "openai/o"}
    pairs = "".join(
        f"  {name}: {{orchestrator: {{model: {word}}}, coder: c}}\n" for name, word in words.items()
    )
    (tmp_path / "pairs.yaml").write_text(f"pairs:\n{pairs}")
    (file,) = check(tmp_path, tmp_path)
    assert file.problems == []
    where, said = "pairs.yaml: warning: pairs.{}.orchestrator.model:", "is no Letta handle (PROVIDER/MODEL)"
    assert file.warnings == (
        f"{where.format('a')} 'dirct' {said}; did you mean 'direct'?",
        f"{where.format('b')} 'gpt-5-mini' {said}",
    )


CONVENTION = "from add import add\n\n\ndef test_sum():\n    assert int(add(2, 3).split()[0]) == 5\n\n\n"
EXACT = CONVENTION + "def test_money():\n    assert add(2, 3) == '5 ct'\n"


@pytest.mark.parametrize(
    ("acceptance", "guess", "message"),
    [
        (EXACT, "hd", ""),
        (CONVENTION, "hd", "no test_money... fails on the bug 'money'"),
        (
            CONVENTION + "def test_money():\n    assert len(add(2, 3)) == 4\n",
            "hd",
            "right code with other values",
        ),
        (
            EXACT.replace("test_sum", "test_other").replace(
                "int(add(2, 3).split()[0]) == 5", "add(2, 3) == '5 ct'"
            ),
            "hd",
            "test_other fails on the bug 'money'; it must be right but for the convention",
        ),
    ],
)
def test_a_convention_cannot_be_met_by_luck(task, sandbox, acceptance, guess, message):
    """Code that ignores it fails its tests and no others; right code with other values fails them, too."""
    code = "def add(a, b):\n    return f'{{a + b}}{}'\n"
    ignoring = code.format(" coins" if "assert len" in acceptance else "")
    bug = Bug(name="money", code=ignoring)
    changes = {
        "reference": code.format(" ct"),
        "acceptance": acceptance,
        "bugs": (bug,),
        "conventions": {"money": "ct"},
    }
    found = proof(task.model_copy(update=changes), [sandbox], code.format(f" {guess}")).problems
    assert any(message in line for line in found) if message else found == []
