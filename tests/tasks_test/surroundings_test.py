"""What a task takes from the repository round it: files beside it, folders, installed packages."""

from __future__ import annotations

import json

import pytest

from harness.errors import SpecError
from harness.grading.verdict import Grader
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer
from harness.tasks.suite import Selection, Suite

TASK = {
    "title": "Add",
    "spec": "Write `total(values)`, which adds with numpy; see `geometry.scale`.",
    "code_file": "total.py",
    "test_file": "test_total.py",
    "reference": (
        "import numpy as np\nfrom geometry import scale\n\n\ndef total(values):\n"
        "    return float(np.sum(scale(values)))\n"
    ),
    "acceptance": "from total import total\n\n\ndef test_it():\n    assert total([1, 2]) == 6\n",
}


@pytest.fixture
def repository(tmp_path):
    """A repository with a package of its own, which uses numpy, and data beside its tasks."""
    (tmp_path / "src/geometry").mkdir(parents=True)
    (tmp_path / "src/geometry/__init__.py").write_text("from geometry.scaling import scale\n")
    (tmp_path / "src/geometry/scaling.py").write_text(
        "import numpy as np\n\n\ndef scale(values):\n    return 2 * np.asarray(values)\n"
    )
    (tmp_path / "benchmarks/data").mkdir(parents=True)
    (tmp_path / "benchmarks/data/rows.csv").write_text("a,b\n1,2\n")
    return tmp_path


@pytest.fixture
def load(repository):
    """Load a task of the repository with further fields."""

    def load_it(**fields):
        path = repository / "benchmarks/total.yaml"
        lines = (f"{key}: {json.dumps(value)}\n" for key, value in {**TASK, **fields}.items())
        path.write_text("".join(lines))
        (task,) = Suite(repository / "benchmarks", repository, Selection(), {}).tasks(path)
        return task

    return load_it


def test_code_imports_packages_and_folders_that_its_task_names(repository, load):
    """With the fields numpy and the repository's package can be imported; without them neither can."""
    named, bare = load(packages=["numpy"], paths=["src"]), load()
    files = {"total.py": TASK["reference"]}
    with ForkServer(sight=Sight(repository, (repository,))) as sandbox:
        seen, unseen = (Grader(task, sandbox).acceptance(files) for task in (named, bare))
    assert seen.passed, seen
    assert not unseen.passed
    assert "No module named 'numpy'" in str(unseen)


def test_only_the_named_folders_are_shown_and_they_cannot_be_written(repository, load):
    """Beside src the repository stays hidden, its task files too, and src is read-only."""
    (repository / "README.md").write_text("private\n")
    task = load(packages=["numpy"], paths=["src"])
    tests = f"""
from pathlib import Path
import geometry, pytest

def test_it():
    assert [each.name for each in Path({str(repository)!r}).iterdir()] == ["src"]
    with pytest.raises(OSError):
        (Path(geometry.__file__).parent / "own.py").write_text("x")
"""
    with ForkServer(sight=Sight(repository, (repository,))) as sandbox:
        run = Grader(task, sandbox).generated({"total.py": TASK["reference"], "test_total.py": tests})
        if sandbox.protections["hidden files"]:
            assert run.passed, run


def test_a_model_s_file_does_not_stand_in_for_the_repository_s_package(repository, load):
    """A module that the code writes beside itself is not imported in place of a folder's."""
    task = load(packages=["numpy"], paths=["src"])
    forged = {"total.py": TASK["reference"], "geometry.py": "def scale(values):\n    return [6]\n"}
    with ForkServer(sight=Sight(repository, (repository,))) as sandbox:
        assert Grader(task, sandbox).acceptance(forged).passed
        wrong = {
            **forged,
            "total.py": "from geometry import scale\n\n\ndef total(v):\n    return sum(scale([]))\n",
        }
        assert not Grader(task, sandbox).acceptance(wrong).passed


def test_files_come_from_the_disk_beside_the_task(load):
    """Their text is that of a given file: the digest is the same, and follows the file."""
    task = load(files_from={"rows.csv": "data/rows.csv"})
    assert task.files == {"rows.csv": "a,b\n1,2\n"}
    assert task.digest == load(files={"rows.csv": "a,b\n1,2\n"}).digest != load().digest


def test_the_digest_names_packages_and_paths(load):
    """Another set of importable things is another task."""
    tasks = [load(), load(packages=["numpy"]), load(packages=["numpy"], paths=["src"])]
    assert len({task.digest for task in tasks}) == 3
    assert load(packages=[], paths=[], files_from={}).digest == load().digest


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"packages": ["no-such-thing"]}, "packages.0: 'no-such-thing' is not installed in this environment"),
        ({"packages": ["no-such-thing"]}, "pip install no-such-thing"),
        ({"packages": "numpy"}, "packages: expected a list, got text 'numpy'"),
        ({"packages": ["numpy>=2"]}, "packages.0: expected "),
        ({"packages": ["numpy"], "code_file": "numpy.py"}, "packages.0: 'numpy' has a module 'numpy', too"),
        ({"paths": ["lib"]}, "paths.0: expected a folder of the repository, and there is no 'lib'"),
        ({"paths": [".."]}, "paths: expected folders of the repository, such as src, got '..'"),
        ({"paths": ["."]}, "paths: expected folders of the repository, such as src, got '.'"),
        ({"paths": ["/etc"]}, "paths: expected folders of the repository, such as src, got '/etc'"),
        ({"paths": ["away"]}, "paths.0: 'away' is a link that leads out of the repository"),
        (
            {"paths": ["benchmarks/data"]},
            "paths.0: 'benchmarks/data' would show tasks or recordings to the code",
        ),
        ({"paths": ["here"]}, "paths.0: 'here' would show tasks or recordings to the code"),
        ({"paths": ["src"], "code_file": "geometry.py"}, "paths.0: 'src' has a module 'geometry', too"),
        ({"files_from": {"a.csv": "data/none.csv"}}, "files_from.a.csv: 'data/none.csv' is no file beside"),
        ({"files_from": {"a.csv": "data"}}, "files_from.a.csv: 'data' is no file beside"),
        ({"files_from": {"a.csv": "../../../etc/passwd"}}, "leads out of the repository"),
        ({"files_from": {"a.csv": "secret"}}, "files_from.a.csv: 'secret' leads out of the repository"),
        ({"files_from": {"a.csv": "/etc/passwd"}}, "files_from: expected a path relative to this file"),
        (
            {"files_from": {"../a.csv": "data/rows.csv"}},
            "files_from: expected file names inside the workspace",
        ),
        ({"files_from": {"a.csv": "x" * 300}}, "cannot be read: File name too long"),
        ({"files_from": {"a.csv": "circle"}}, "files_from.a.csv: 'circle' is no file beside"),
        ({"files_from": {"a.csv": "data/picture"}}, "files_from.a.csv: 'data/picture' is no UTF-8 text"),
        (
            {"files": {"a.csv": ""}, "files_from": {"a.csv": "data/rows.csv"}},
            "files_from: expected 'a.csv' in files or in files_from, not in both",
        ),
    ],
)
def test_what_cannot_be_taken_is_one_line(repository, load, fields, shown):
    """It names file, line and field, and says what to do."""
    (repository / "away").symlink_to("/usr")
    (repository / "here").symlink_to(repository)
    (repository / "benchmarks/circle").symlink_to("circle")
    (repository / "benchmarks/secret").symlink_to("/etc/passwd")
    (repository / "benchmarks/data/picture").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError) as caught:
        load(**fields)
    (problem,) = caught.value.problems
    assert problem.startswith("benchmarks/total.yaml:")
    assert shown in problem


def test_a_suite_under_another_name_is_not_shown_either(repository):
    """Tasks may stand in a folder of any name, and a task in a folder of that one."""
    (repository / "evals/one").mkdir(parents=True)
    (repository / "evals/data").mkdir()
    path = repository / "evals/one/total.yaml"
    path.write_text(
        "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**TASK, "paths": ["evals/data"]}.items())
    )
    with pytest.raises(SpecError, match="'evals/data' would show tasks or recordings to the code"):
        Suite(repository / "evals", repository, Selection(), {}).tasks(path)


def test_a_source_names_the_task(repository):
    """Tasks of a JSONL file are checked alike; there the task's id takes the place of the line."""
    fields = {**TASK, "id": "one", "packages": ["no-such-thing"]}
    (repository / "benchmarks/ours.jsonl").write_text(json.dumps(fields))
    source = repository / "benchmarks/ours.yaml"
    source.write_text("source: ours.jsonl\n")
    with pytest.raises(SpecError, match=r"benchmarks/ours.yaml: one: packages.0: 'no-such-thing' is not"):
        Suite(repository / "benchmarks", repository, Selection(), {}).tasks(source)
