"""harness/cli/task_files.py: a task file to start from."""

import pytest

from harness.cli.task_files import write_task
from harness.errors import UsageError
from harness.grading.proofs import proof
from harness.tasks import loader


def test_the_template_is_a_right_task(tmp_path, sandbox):
    """What is written can be recorded as it is: reference, acceptance and bugs hold."""
    path = write_task("my_words", tmp_path / "benchmarks")
    task = loader.load_task(path, "it")
    assert (task.id, task.code_file, len(task.bugs)) == ("my_words", "my_words.py", 3)
    assert proof(task, [sandbox]).problems == []


@pytest.mark.parametrize(
    "name", ["json", "pytest", "My", "a-b", "", "../x", "1a", "a" * 61, "async", "con", "test_x", "x_test"]
)
def test_a_name_that_is_no_module_is_refused(name, tmp_path):
    """Nothing is written under it."""
    with pytest.raises(UsageError, match="cannot name a task"):
        write_task(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_is_there_is_kept(tmp_path):
    """Also where it stands in another folder of the suite."""
    path = write_task("words", tmp_path / "text")
    kept = path.read_bytes()
    with pytest.raises(UsageError, match="there is a task words already"):
        write_task("words", tmp_path)
    assert path.read_bytes() == kept
