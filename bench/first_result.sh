#!/usr/bin/env bash
# The first own recorded result, as a new user has it: an empty repository, a fresh environment, `pip install`,
# `harness init`, record, replay. Then the same with an endpoint that speaks the Messages API, and a repository
# with a package of its own that uses numpy, and plugins that shuffle, await, measure and cover its tests: a bare
# pytest says the same of them as without the harness. Fails if the first takes more than two minutes.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$source/.venv/bin/python}
work=$(mktemp -d)
endpoint=
trap '[ -z "$endpoint" ] || kill "$endpoint"; rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
unset ANTHROPIC_API_KEY ANTHROPIC_BASE_URL LETTA_API_KEY LETTA_BASE_URL ORCH_MODEL CLAUDE_MODEL

"$python" -m venv "$work/env"
began=$SECONDS
"$work/env/bin/pip" install --quiet "$source"
echo "pip install: $((SECONDS - began)) s"
export PATH=$work/env/bin:$PATH

mkdir "$work/empty" && cd "$work/empty"
began=$SECONDS
harness init
harness validate
pytest benchmarks --record=once --pair demo
pytest benchmarks -n 2
taken=$((SECONDS - began))
echo "an empty repository: $taken s to a recorded result and its replay"

# A stand-in for the Messages API: answers with the task's reference and its acceptance tests.
cat >"$work/endpoint.py" <<'PYTHON'
import sys, threading
from pathlib import Path
from fakes import FakeClaude
from harness.tasks.loader import load_task
task = load_task(Path("benchmarks/reverse_words.yaml"), "reverse_words")
with FakeClaude(task.reference, task.acceptance).running() as fake:
    Path(sys.argv[1]).write_text(fake.url)
    threading.Event().wait()
PYTHON
PYTHONPATH=$source/tests python "$work/endpoint.py" "$work/url" &
endpoint=$!
until [ -s "$work/url" ]; do sleep 0.1; kill -0 "$endpoint"; done
began=$SECONDS
ANTHROPIC_BASE_URL=$(cat "$work/url") ANTHROPIC_API_KEY=a-key-for-tests pytest benchmarks --record=once --pair haiku
pytest benchmarks -n 2 --pair haiku
echo "with an endpoint of the Messages API: $((SECONDS - began)) s"

"$work/env/bin/pip" install --quiet pytest-asyncio pytest-benchmark pytest-cov pytest-randomly
mkdir -p "$work/own/src/geometry" "$work/own/tests" && cd "$work/own"
cat >pyproject.toml <<'TOML'
[project]
name = "geometry"
version = "1"
dependencies = ["numpy"]
[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]
asyncio_mode = "auto"
addopts = ["--cov=geometry", "--benchmark-columns=min"]
TOML
cat >src/geometry/__init__.py <<'PYTHON'
import numpy as np

def scale(values):
    return 2 * np.asarray(values)
PYTHON
cat >tests/test_geometry.py <<'PYTHON'
from geometry import scale

def test_scale():
    assert scale([1, 2]).tolist() == [2, 4]

async def test_awaited():
    assert scale([3]).tolist() == [6]

def test_measured(benchmark):
    assert benchmark(scale, [4]).tolist() == [8]
PYTHON
# What a bare pytest of that repository says of its tests: their order, outcomes and coverage.
bare() { pytest -v --randomly-seed=1 "$@" | grep -E 'PASSED|FAILED|ERROR|TOTAL|passed|failed' | sed -E 's/ in [0-9.]+s.*//'; }
bare -p no:harness >"$work/before.log"
harness init >/dev/null
cat >benchmarks/total.yaml <<'YAML'
title: Add scaled values
spec: Write `total(values)`, which returns the sum of `geometry.scale(values)` as a float.
code_file: total.py
test_file: test_total.py
packages: [numpy]
paths: [src]
reference: |
  import numpy as np
  from geometry import scale


  def total(values):
      return float(np.sum(scale(values)))
acceptance: |
  from total import total


  def test_total():
      assert total([1, 2]) == 6
bugs:
  - name: does not scale
    code: |
      def total(values):
          return float(sum(values))
YAML
harness validate
bare | tee "$work/after.log"
diff "$work/before.log" "$work/after.log"
grep -q '3 passed' "$work/after.log"
pytest benchmarks --record=once --pair demo
pytest benchmarks -n 2

[ "$taken" -le 120 ] || { echo "an empty repository took $taken s, more than 120"; exit 1; }
