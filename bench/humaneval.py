"""What of a HumanEval figure is the words around the problem: a model is asked again, without the harness's.

    harness up --models qwen2.5-coder-0.5b
    pytest benchmarks/humaneval.yaml --record=once --pair humaneval-qwen-0.5b
    python bench/humaneval.py qwen2.5-coder-0.5b reports/latest     # half an hour for 0.5B on two cores

Prints how many of the same problems are solved (greedy, 768 tokens, in the sandbox):

- by the answers of that run: the coder's system prompt, and a specification that asks for a whole file;
- by answers to the bare problem, in a block of code, without a system prompt;

each as it was written, and with the problem's own imports put before it: in the paper's protocol a model
goes on with the prompt, whose imports and helpers are there whatever it writes.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path

from harness.agents.code_blocks import extract_code
from harness.backends import endpoints
from harness.grading.verdict import Grader
from harness.sandbox.fork_server import ForkServer
from harness.tasks.pair import Pair
from harness.tasks.suite import Selection, Suite

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "benchmarks" / "humaneval.yaml"
BARE = "Write this Python function.\n\n```python\n{problem}\n```\n"


def problem_of(task):
    """Return a problem's own text: what stands in the specification after its first two lines."""
    return task.spec.partition("\n\n")[2].strip()


def imports_of(task):
    """Return the lines of a problem that import something."""
    lines = problem_of(task).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(("import ", "from ")))


def ask(url, model, text):
    """Return the answer of a local model, decoded greedily."""
    message = {"role": "user", "content": text}
    body = {"model": model, "max_tokens": 768, "temperature": 0, "messages": [message]}
    headers = {"content-type": "application/json", "x-api-key": "none"}
    request = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=1800) as answer:
        return "".join(block.get("text", "") for block in json.load(answer)["content"])


def written_in(run, pair, task):
    """Return the file that a trial of a run wrote; empty if it wrote none."""
    talk = json.loads((run / "transcripts" / pair / task.id / "1.json").read_text())
    return next((event["text"] for event in reversed(talk["events"]) if event["kind"] == "wrote"), "")


def main():
    """Ask, grade and print."""
    model, run = sys.argv[1], Path(sys.argv[2])
    pair = json.loads((run / "trials.jsonl").read_text().splitlines()[0])["pair"]
    local = Pair(name="p", orchestrator={"model": "direct"}, coder=model, backend="local")
    url = endpoints.live(local, os.environ).claude_url
    tasks = Suite(SOURCE.parent, ROOT, Selection(paths=frozenset([SOURCE])), {}).tasks(SOURCE)
    solved = dict.fromkeys(("harness", "harness, imports", "bare", "bare, imports"), 0)
    with ForkServer() as sandbox:
        for number, task in enumerate(tasks, start=1):
            grader = Grader(task, sandbox)
            bare = extract_code(ask(url, model, BARE.format(problem=problem_of(task))), task.code_file) or ""
            for words, code in (("harness", written_in(run, pair, task)), ("bare", bare)):
                for more in ("", ", imports"):
                    text = imports_of(task) + code if more else code
                    if code and grader.acceptance({task.code_file: text}).passed:
                        solved[words + more] += 1
            print(f"{number} of {len(tasks)}: {solved}", file=sys.stderr, flush=True)
    for name, count in solved.items():
        print(f"{name:>18}: {count} of {len(tasks)}, {100 * count / len(tasks):.1f} %")


if __name__ == "__main__":
    main()
