"""Mode none: no byte leaves the process or its children, whoever asks."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import CODE, FakeSandbox

from harness.backends.claude import messages_api as claude_module
from harness.backends.letta import client as letta_module
from harness.cassette.offline import WentOnline, offline
from harness.runner import Setup, run_trial
from harness.tasks.suite import Selection, Suite
from harness.tasks.trial import Trial

ROOT = Path(__file__).parents[2]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket of this machine that takes connections, and is asked afterwards whether any came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def port(listener: socket.socket) -> int:
    return listener.getsockname()[1]


def heard(listener: socket.socket) -> bool:
    """Whether anybody has connected."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


# --- the guard --------------------------------------------------------------------------------------------


def connect(port: int) -> None:
    with socket.socket() as client:
        client.connect(("127.0.0.1", port))


def connect_without_raising(port: int) -> None:
    with socket.socket() as client:
        client.connect_ex(("127.0.0.1", port))


def send_datagram(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", port))


def look_up(_: int) -> None:
    socket.getaddrinfo("localhost", 80)


def look_up_the_old_way(_: int) -> None:
    socket.gethostbyname("localhost")


WAYS = [connect, connect_without_raising, send_datagram, look_up, look_up_the_old_way]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_out(way: Callable[[int], None], listener) -> None:
    """Each way to the network is refused while a replay runs, by what `except Exception` does not catch."""
    with offline(), pytest.raises(WentOnline, match="asked for the network: socket."):
        try:
            way(port(listener))
        except Exception as error:  # noqa: BLE001  (what an SDK does)
            pytest.fail(f"an SDK would have swallowed {error!r}")
    assert not heard(listener)


def test_the_network_is_back_afterwards(listener) -> None:
    """Also after a refusal, and only when the outermost block has ended."""
    with offline():
        with pytest.raises(WentOnline), offline():
            connect(port(listener))
        with pytest.raises(WentOnline):
            connect(port(listener))
    assert not heard(listener)
    connect(port(listener))
    assert heard(listener)


def test_other_threads_see_a_machine_without_network(listener) -> None:
    """What runs in the background beside a replay gets an error that it knows how to handle."""
    with ThreadPoolExecutor(1) as pool, offline():
        with pytest.raises(OSError, match="unreachable"):
            pool.submit(connect, port(listener)).result()
    assert not heard(listener)


def test_sockets_of_this_machine_stay_open(tmp_path, monkeypatch) -> None:
    """What processes of one machine say to each other is no network."""
    monkeypatch.chdir(tmp_path)  # the path of such a socket is short
    with socket.socket(socket.AF_UNIX) as server, offline():
        server.bind("s")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("s")
        one, other = socket.socketpair()
        with one, other:
            one.sendmsg([b"x"])
            assert other.recv(1) == b"x"


@pytest.mark.parametrize("way", [connect, look_up])
def test_a_replay_runs_behind_the_guard(way, trial: Trial, recording, replaying, listener) -> None:
    """Whatever runs in the harness's process during a replay reaches nobody; a recording is free to."""
    live, replay = (replace(setup, sandbox=FakeSandbox()) for setup in (recording, replaying))
    run_trial(trial, live, lambda _: way(port(listener)))
    assert heard(listener) == (way is connect)
    while heard(listener):
        pass
    with pytest.raises(WentOnline):
        run_trial(trial, replay, lambda _: way(port(listener)))
    assert not heard(listener)


# --- generated code ---------------------------------------------------------------------------------------

CALLS_HOME = f"""\
import socket
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
except OSError:
    pass
{CODE}"""


def test_generated_code_reaches_nobody(trial: Trial, recording: Setup, replaying, claude, listener) -> None:
    """Code that calls home when it is imported is graded without the call, in a recording and a replay."""
    protections = pytest.importorskip("harness.sandbox.fork_server").protections()
    if not protections["no network"]:
        pytest.skip("this machine does not let the sandbox take the network away")
    claude.code = CALLS_HOME.replace("PORT", str(port(listener)))
    for setup in (recording, replaying):
        assert run_trial(trial, setup).record.outcome == "solved"
        assert not heard(listener)


# --- a whole run ------------------------------------------------------------------------------------------


ADDRESSES = ("LETTA_BASE_URL", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def test_a_whole_replay_asks_nobody(replaying, listener, monkeypatch) -> None:
    """With every address and proxy of the environment at a listener, a shipped trial replays unheard."""
    for name in (*ADDRESSES, *PROXIES):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port(listener)}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LETTA_API_KEY", "a-test-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-test-key")
    for module in (claude_module, letta_module):
        module._client.cache_clear()  # clients of earlier tests know other proxies
    suite = Suite(ROOT / "benchmarks", ROOT, Selection(), os.environ)
    (trial, *_) = suite.trials(ROOT / "benchmarks/functions/add.yaml")
    result = run_trial(trial, replace(replaying, root=ROOT, environment=os.environ))
    assert (result.error, result.record.mode) == (None, "replay")
    assert not heard(listener)
