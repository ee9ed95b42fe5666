"""A limit of wall time for a conversation, and for each turn of it: one that hangs does not hold the run.

Timeouts of HTTP clients do not do that: each byte that trickles in begins them anew.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from harness.errors import OverTime

CLEANING_UP_S = 30.0


class Expired(KeyboardInterrupt):
    """A conversation is cut off: all on its way cleans up as after Ctrl-C, and nothing asks again."""


@dataclass
class WallLimit:
    """Limits in seconds; 0 is none. Outside of the main thread nothing can be interrupted: there are none."""

    trial_s: float = 0.0
    turn_s: float = 0.0
    _ends: float = field(default=0.0, init=False)
    _reason: str = field(default="", init=False)
    _runs: bool = field(default=False, init=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Limit the time that a block takes.

        Raises:
            OverTime: It has taken longer.
        """
        is_main = threading.current_thread() is threading.main_thread()
        if not (is_main and (self.trial_s or self.turn_s)):
            yield
            return
        began = time.monotonic()
        self._ends, self._reason, self._runs = began + self.trial_s, "", True
        handler = signal.signal(signal.SIGALRM, self._expire)
        waiting, _ = signal.getitimer(signal.ITIMER_REAL)  # of pytest-timeout, perhaps
        self.turn()
        try:
            yield
        except Expired:
            raise OverTime(
                self._reason, remedy="look at the service's log; raise the limit if it is only slow"
            ) from None
        finally:
            self._runs = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
            if waiting:
                signal.setitimer(signal.ITIMER_REAL, max(0.001, waiting - (time.monotonic() - began)))

    def extend(self, seconds: float) -> None:
        """Let the block take longer by what it waited for others: a full service, the end of a budget."""
        self._ends += seconds
        self.turn()

    def turn(self) -> None:
        """Begin the time of a turn anew: something has happened."""
        if self._runs and not self._reason:
            left = [self.turn_s] if self.turn_s else []
            left += [max(0.001, self._ends - time.monotonic())] if self.trial_s else []
            signal.setitimer(signal.ITIMER_REAL, min(left))

    def _expire(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._reason:
            is_trial = self.trial_s and time.monotonic() >= self._ends - 0.01
            self._reason = (
                f"the conversation took longer than {self.trial_s:g} s (--max-trial-time)"
                if is_trial
                else f"nothing has happened for {self.turn_s:g} s (--max-turn-time)"
            )
        signal.setitimer(signal.ITIMER_REAL, CLEANING_UP_S)  # should cleaning up hang as well
        raise Expired
