"""Fixtures: a task and a pair, loopback stand-ins for Letta and Claude, and a setup that records on them."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import FakeClaude, FakeLetta, no_wait

from harness.backends.retries import Transport
from harness.runner import Setup
from harness.sandbox.fork_server import ForkServer
from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.task import Task
from harness.tasks.trial import Trial

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores Ctrl-C for what it starts in the background; processes that a test starts inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spare later garbage collections what is imported by now: each inner run of pytest ends with some."""
    gc.collect()
    gc.freeze()


ACCEPTANCE = "from add import add\n\n\ndef test_sum():\n    assert add(2, 3) == 5\n"


@pytest.fixture(scope="session", autouse=True)
def _own_run_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test take what an earlier run of the tests, or somebody's benchmarks, has left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def task() -> Task:
    """The task ``add``."""
    return Task(
        id="add",
        title="Add",
        spec="Implement add(a, b).",
        code_file="add.py",
        test_file="test_add.py",
        reference="def add(a, b):\n    return a + b\n",
        acceptance=ACCEPTANCE,
    )


@pytest.fixture
def pair() -> Pair:
    """A pair whose models cost money."""
    return Pair(
        name="gpt+haiku", orchestrator=Orchestrator(model="openai/gpt-5-mini"), coder="claude-haiku-5-5"
    )


@pytest.fixture
def trial(task: Task, pair: Pair) -> Trial:
    """The first epoch of that task by that pair."""
    return Trial(task=task, pair=pair, epoch=1, source="benchmarks/add.yaml")


@pytest.fixture
def letta() -> Iterator[FakeLetta]:
    """A Letta server that calls the coder, then the tester."""
    with FakeLetta().running() as fake:
        yield fake


@pytest.fixture
def claude() -> Iterator[FakeClaude]:
    """A Claude that writes right code and right tests."""
    with FakeClaude().running() as fake:
        yield fake


@pytest.fixture(scope="session")
def sandbox() -> Iterator[ForkServer]:
    """Where code runs in tests, too."""
    with ForkServer() as server:
        yield server


@pytest.fixture
def recording(
    tmp_path: Path,
    letta: FakeLetta,
    claude: FakeClaude,
    sandbox: ForkServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Setup:
    """A setup that records everything on the stand-ins; what it refuses waits in the test's own folder."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    return Setup(
        root=tmp_path,
        sandbox=sandbox,
        mode="all",
        environment={
            "LETTA_BASE_URL": letta.url,
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": "a-key-for-tests",
        },
        transport=lambda: Transport(no_wait()),
        now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
    )


@pytest.fixture
def replaying(recording: Setup) -> Setup:
    """A setup that replays what ``recording`` wrote, with no service to reach."""
    return Setup(root=recording.root, sandbox=recording.sandbox, mode="none", environment={})


@pytest.fixture(scope="session", autouse=True)
def _only_our_plugins_in_inner_runs() -> Iterator[None]:
    """The pytest runs that tests start load what they test: other plugins cost a second of each run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setenv("PYTEST_PLUGINS", "xdist.plugin,xdist.looponfail,harness.plugin")
        yield
