"""How many requests 32 workers send to a service that answers 429, with the run's limiter and without.

A stand-in for the Messages API takes so many requests at once and so many a second, and tells the others by
``retry-after`` when there is room again. Each worker is a thread with a limiter of its own, or with the one
of the run, asked over a connection as by a process.

    python bench/limits.py
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakes import FakeClaude, claude_error

from harness.backends.claude.messages_api import MessagesApi
from harness.backends.limiter import Limiter
from harness.backends.retries import Transport
from harness.backends.sharing import Address, Remote, Served
from harness.errors import ApiError


class Busy(FakeClaude):
    """Takes ``burst`` requests at once, and ``rate`` a second."""

    def __init__(self, rate: float, burst: int) -> None:
        super().__init__()
        self.rate, self.burst = rate, burst
        self.room, self.since = float(burst), time.monotonic()
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: object) -> object:
        with self.lock:
            now = time.monotonic()
            self.room = min(self.burst, self.room + (now - self.since) * self.rate)
            self.since = now
            if self.room < 1:
                wait_s = (1 - self.room) / self.rate
                return (*claude_error(429, "rate_limit_error", "busy"), {"retry-after": f"{wait_s:.2f}"})
            self.room -= 1
        return super().answer(method, path, body)


def work(url: str, address: Address | None, calls: int) -> int:
    """One worker: so many questions, one after the other; return how many were given up."""
    lost = 0
    shared = Remote(address, "limiter") if address else None
    for _ in range(calls):
        transport = Transport(shared, patient=True) if shared else Transport()
        try:
            MessagesApi(url, "k", transport).ask("coder", "m", "s", "p", {"max_tokens": 16})
        except ApiError:
            lost += 1
    return lost


def measure(args: argparse.Namespace, *, shared: bool) -> None:
    served = Served(limiter=Limiter())
    with Busy(args.rate, args.burst).running() as service, ThreadPoolExecutor(args.workers) as workers:
        address = served.address if shared else None
        began = time.monotonic()
        lost = sum(workers.map(lambda _: work(service.url, address, args.calls), range(args.workers)))
        took = time.monotonic() - began
        needed = args.workers * args.calls
        at_best = (needed - args.burst) / args.rate
        sent, who = len(service.requests), "one limiter for all" if shared else "each for itself    "
        print(
            f"{who}: {sent} requests sent, {needed} needed ({sent / needed:.2f}), {lost} given up,", end=" "
        )
        print(f"{took:.0f} s (at best {at_best:.0f})", flush=True)
    served.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--calls", type=int, default=6, help="that each worker needs")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--burst", type=int, default=10)
    args = parser.parse_args()
    measure(args, shared=False)
    measure(args, shared=True)


if __name__ == "__main__":
    main()
