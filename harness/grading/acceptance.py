"""Run a task's hidden tests on code, in disguise, and tell code that is right from code that cheats.

Each test runs beside a twin that right code must fail (``twins.py``). Which of the two is which only this
process knows. The first run is on the task's reference: it shows which tests there are, and that each twin
fails on right code.

Code is *forged* if all tests pass on it and a twin, too, if a test was not reported, or twice, or if the
report was tampered with (``sandbox/run_report.py``). What a twin asserts contradicts its test: both pass on
code that is right only where neither came to assert, in a loop over nothing say. Code that fails another
test is wrong, then, whatever it is.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from pydantic import TypeAdapter

from harness.grading.twins import Disguise, disguise
from harness.sandbox import HiddenTests, Sandbox, Test, TestRun
from harness.sandbox.run_cache import CachedSandbox, digest_of_sources
from harness.tasks.task import Task

DISGUISE = TypeAdapter(Disguise)
ROUNDS = 3  # attempts to find a twin that fails on the reference, for each test
HOLLOW = "it passes whatever it expects"
ASSERTED = ("assert", "AssertionError", "Failed: DID NOT RAISE")
UNPROVED = "its twin passes on the reference, so nothing shows that code computes its answer"
TOKEN = re.compile(r"(?<![^-\[])[a-z]{12}(?![^-\]])")
Files = Mapping[str, str]


@dataclass(frozen=True, order=True)
class Reported:
    """What stands behind a reported name.

    Attributes:
        place: Where the test stands in its file, and its row among the test's rows.
        name: The test as its file names it, with its row.
        twin: Number of the twin; 0 for the test itself.
        raises: The twin expects another exception.
    """

    place: tuple[int, int]
    name: str
    twin: int = 0
    raises: bool = False


class Proof:
    """What the hidden tests showed on the reference.

    Attributes:
        disguise: How they are disguised.
        cases: What stands behind each name that was reported.
        run: The tests themselves.
        twins: Names of the twins that failed, as they must.
    """

    def __init__(self, disguise: Disguise, on_reference: TestRun) -> None:
        self.disguise = disguise
        self.cases = {test.name: _reported(test.name, disguise) for test in on_reference.tests}
        self.twins = {
            test.name
            for test in on_reference.tests
            if self.cases[test.name].twin and _fails_as_it_must(test, self.cases[test.name])
        }
        self.run = self.judge(on_reference)

    @property
    def without_twin(self) -> dict[str, str]:
        """Tests, without their rows, of which no twin is proved to fail, and why; in the file's order."""
        proved = {_test(self.cases[name].name) for name in self.twins}
        tests = dict.fromkeys(
            [*self.disguise.tests.values(), *(_test(each.name) for each in self.cases.values())]
        )
        known = set(self.disguise.tests.values())
        otherwise = {test: UNPROVED if test in known else "it is in a derived class" for test in tests}
        return {
            test: why for test, why in (otherwise | dict(self.disguise.without)).items() if test not in proved
        }

    @property
    def weak(self) -> dict[str, str]:
        """Why code can tell each test from its twins by reading it; empty if there is one that it cannot."""
        proved = dict.fromkeys(_test(self.cases[name].name) for name in sorted(self.twins))
        weak = self.disguise.weak
        return {test: weak[test] for test in proved} if proved.keys() <= weak.keys() else {}

    def judge(self, run: TestRun) -> TestRun:
        """Return what a run in disguise shows of the tests themselves, under their own names."""
        known = [(self.cases[test.name], test) for test in run.tests if test.name in self.cases]
        own = sorted(((case, test) for case, test in known if not case.twin), key=lambda each: each[0])
        # The assertion alone: what follows is worded by the disguise, which is another each time.
        tests = tuple(replace(test, name=case.name, text=test.text.partition("\n")[0]) for case, test in own)
        wanted = sum(not case.twin for case in self.cases.values())
        run = replace(run, collected=wanted if run.collected else 0)
        if run.syntax or run.status not in ("passed", "failed", "no_tests"):
            return replace(run, tests=tests)
        broken = [test for test in run.tests if test.name not in self.cases and test.outcome == "error"]
        if broken:
            return replace(run, status="failed", tests=(replace(broken[0], name="acceptance"), *tests))
        # Each once. Others came from the code, which a hidden file that says ``import *`` takes tests from.
        if sorted(test.name for _, test in known) != sorted(self.cases):
            detail = f"{len({test.name for test in tests})} of {wanted} hidden tests ran"
            return replace(run, status="forged", tests=tests, detail=f"{detail}, or one more than once")
        passed = any(test.outcome == "passed" for test in tests)
        good = all(test.outcome in ("passed", "skipped", "xfailed") for test in tests)
        caught = self.caught(run)
        if caught and good:
            detail = f"{len(caught)} of {len(tests)} hidden tests pass whatever they expect: {min(caught)}"
            return replace(run, status="forged", tests=tests, detail=detail)
        tests = tuple(
            replace(test, outcome="failed", text=HOLLOW) if test.name in caught else test for test in tests
        )
        return replace(run, status=("passed" if passed else "no_tests") if good else "failed", tests=tests)

    def caught(self, run: TestRun) -> set[str]:
        """Return the tests that passed, and a twin of them too."""
        passed = {test.name for test in run.tests if test.outcome == "passed"} & set(self.cases)
        own = {self.cases[name].name for name in passed if not self.cases[name].twin}
        return own & {self.cases[name].name for name in passed & self.twins}

    def order_matters(self, run: TestRun) -> bool:
        """Return True if each test that failed came after its twin, which may have left something behind."""
        before: set[str] = set()
        failed = False
        for test in run.tests:
            case = self.cases.get(test.name)
            if case is None or (not case.twin and test.outcome != "passed" and case.name not in before):
                return False
            if case.twin:
                before.add(case.name)
            failed |= not case.twin and test.outcome != "passed"
        return failed and run.status == "failed"

    def parts(self, rng: random.Random) -> list[list[str]]:
        """Divide the cases at random, so that each part has at most one of a test and its twins.

        How many cases of a test a part has must not tell which of them is the test itself.
        """
        of_test: dict[str, list[str]] = {}
        for reported, case in self.cases.items():
            of_test.setdefault(case.name, []).append(reported.partition("::")[2].rpartition("::")[2])
        parts: list[list[str]] = [[] for _ in range(max(map(len, of_test.values()), default=0))]
        for names in of_test.values():
            for part, name in zip(rng.sample(parts, len(names)), names, strict=True):
                part.append(name)
        return parts


class Acceptance:
    """The hidden tests of one task.

    ``rng`` decides how they are disguised. Default: seeded by the whole task with its reference and its
    bugs, of which a run sees the hidden tests at most; so a replay shows the same tests failing everywhere.
    """

    def __init__(self, task: Task, sandbox: Sandbox, rng: random.Random | None = None) -> None:
        self._task = task
        self._sandbox = sandbox
        self._seed = task.model_dump_json()
        self._rng = rng
        self._file = f"test_{random.Random(f'file {self._seed}').getrandbits(64):016x}.py"

    def run(self, files: Files) -> TestRun:
        """Run the hidden tests on these files; the result names them as the task does.

        Raises:
            SandboxError: Nothing could be run.
        """
        proof = self.proof
        raw = self._run(proof.disguise, files)
        run = proof.judge(raw)
        if proof.caught(raw) or proof.order_matters(raw):
            run = proof.judge(self._run_apart(proof, files))
        return run

    @cached_property
    def proof(self) -> Proof:
        """What the hidden tests show on the reference; run once."""
        files = self._task.with_code(self._task.reference)
        skip: dict[str, int] = {}
        for _ in range(ROUNDS):
            disguised = self._disguise(skip)
            run = self._run(disguised, files)
            proof = Proof(disguised, run)
            if proof.order_matters(run):
                proof = Proof(disguised, self._run_apart(proof, files))
            if proof.run.status not in ("passed", "failed"):
                return proof
            broken = {_test(test.name) for test in proof.run.tests if test.outcome in ("failed", "error")}
            changed = set(disguised.tests.values()) - set(disguised.without)
            unproved = changed & (set(proof.without_twin) | broken)
            if not unproved:
                return proof
            skip |= {test: skip.get(test, 0) + 1 for test in unproved}
        skip |= dict.fromkeys(broken, sys.maxsize)  # rather no twin than a test that right code fails
        disguised = self._disguise(skip) if broken else disguised
        return Proof(disguised, self._run(disguised, files)) if broken else proof

    def _disguise(self, skip: Mapping[str, int]) -> Disguise:
        """Disguise the hidden tests; where runs are kept, what a task's own seed makes of them is, too."""
        text = self._task.acceptance
        if self._rng is not None:
            return disguise(text, self._rng, skip)
        seed = json.dumps([self._seed, dict(skip)], sort_keys=True)
        if not isinstance(self._sandbox, CachedSandbox):
            return disguise(text, random.Random(seed), skip)
        made = self._sandbox.remember(
            [_code(), seed], lambda: DISGUISE.dump_json(disguise(text, random.Random(seed), skip)).decode()
        )
        return DISGUISE.validate_json(made)

    def _run(self, disguised: Disguise, files: Files, only: frozenset[str] | None = None) -> TestRun:
        limits = self._task.limits
        return self._sandbox.run(
            files,
            self._file,
            limits.model_copy(update={"timeout_s": limits.timeout_s * disguised.times}),
            code_path=self._task.code_file,
            hidden=HiddenTests(disguised.source, only),
        )

    def _run_apart(self, proof: Proof, files: Files) -> TestRun:
        """Run tests and twins in processes of their own, so that no test meets what its twin left behind."""
        runs = [
            self._run(proof.disguise, files, frozenset(part))
            for part in proof.parts(random.Random(self._seed))
        ]
        ended = next((run for run in runs if run.status not in ("passed", "failed")), runs[0])
        return replace(ended, tests=tuple(test for run in runs for test in run.tests))


@cache
def _code() -> str:
    """Digest of the code that disguises."""
    return digest_of_sources(Path(__file__).parent)


def _reported(name: str, disguised: Disguise) -> Reported:
    """Read a reported name, such as ``test_3f.py::test_qwertyuiopas[asdfghjklqwe-1]``."""
    head, bracket, rows = name.partition("[")
    function = head.rpartition("::")[2]
    tests = list(disguised.tests.values())
    test = disguised.tests.get(function, head.partition("::")[2] or head)
    place = tests.index(test) if test in tests else len(tests)
    rows = rows.removesuffix("]") if bracket else ""
    token = next((word for word in TOKEN.findall(rows) if word in disguised.cases), None)
    if token is None:
        return Reported((place, 0), f"{test}[{rows}]" if bracket else test)
    case = disguised.cases[token]
    row = rows.replace(token, case.row).strip("-" if not case.row else "")
    return Reported((place, case.number), f"{test}[{row}]" if row else test, case.twin, case.raises)


def _test(name: str) -> str:
    """Return the test that a name with its row belongs to."""
    return name.partition("[")[0]


def _fails_as_it_must(test: Test, case: Reported) -> bool:
    """Return True if a twin failed at its falsified expectation, not because it cannot be run."""
    return test.outcome == "failed" and (case.raises or test.text.startswith(ASSERTED))
