"""A conversation that hangs is cut off."""

import signal
import threading
import time

import pytest

from harness.agents.wall_limit import WallLimit
from harness.errors import OverTime


def swallow():
    """What a client may do: take every error for one that passes."""
    for _ in range(100):
        try:
            time.sleep(0.1)
        except Exception:  # noqa: BLE001
            pass


def test_a_turn_that_hangs_ends():
    """Whatever its client swallows; what happens begins its time anew; afterwards no alarm is left."""
    limit = WallLimit(turn_s=0.3)
    began = time.monotonic()
    with (
        pytest.raises(OverTime, match=r"nothing has happened for 0\.3 s \(--max-turn-time\)"),
        limit.running(),
    ):
        for _ in range(3):
            time.sleep(0.2)
            limit.turn()
        swallow()
    assert 0.8 < time.monotonic() - began < 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_conversation_that_goes_on_for_ever_ends():
    """Though each of its turns is short."""
    limit = WallLimit(trial_s=0.4, turn_s=0.3)
    with pytest.raises(OverTime, match=r"longer than 0\.4 s \(--max-trial-time\)"), limit.running():
        while True:
            time.sleep(0.05)
            limit.turn()


def test_cleaning_up_may_not_hang_either(monkeypatch):
    """It has some time of its own."""
    monkeypatch.setattr("harness.agents.wall_limit.CLEANING_UP_S", 0.2)
    with pytest.raises(OverTime, match="nothing has happened"), WallLimit(turn_s=0.1).running():
        try:
            swallow()
        finally:
            swallow()


def test_somebody_elses_alarm_comes_later():
    """As that of pytest-timeout, whose time has gone on."""
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with WallLimit(turn_s=60).running():
            time.sleep(0.4)
            assert not rang
        time.sleep(0.1)
        assert rang
    finally:
        signal.signal(signal.SIGALRM, before)


def test_no_limit_outside_of_the_main_thread():
    """There nothing can be interrupted, and nothing fails."""
    done = []

    def work():
        with WallLimit(turn_s=0.1).running():
            time.sleep(0.2)
        done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
