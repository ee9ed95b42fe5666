"""Send orders to the workers of a Dask cluster. Dask is imported here only, and inside functions.

Which worker runs what, and what happens when one is lost, is Dask's business, with one exception: Dask runs
what it lost again as often as it likes, and a trial that costs money is run again once (``order.Control``).
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

from harness.cluster.order import MOST_BEGUN, Control, Done, Order, execute, lost
from harness.errors import UsageError

LOOPBACK = "127.0.0.1"
LOCAL = "local:"  # and the number of workers
AHEAD = 4  # orders that the scheduler has for each thread: it sees demand, and none of them weighs much
LEAST_AHEAD = 64
CONNECT_S = 20.0
LOOK_S = 0.5


class DaskCluster:
    """A connection to a Dask scheduler, or a cluster of processes on this machine.

    Args:
        address: ``tcp://HOST:PORT``, or ``local:N``.
        say: Prints a line.

    Raises:
        UsageError: Dask is not installed, or the scheduler cannot be reached.
    """

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        self._address = address
        self._say = say
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise UsageError(
                "Dask is not installed in this environment", remedy="pip install 'pair-harness[dask]'"
            ) from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is told by the run
        try:
            target: Any = self._address
            if self._address.startswith(LOCAL):
                target = self._stack.enter_context(
                    LocalCluster(
                        n_workers=int(self._address.removeprefix(LOCAL)),
                        threads_per_worker=1,
                        host=LOOPBACK,
                        memory_limit=0,
                        dashboard_address=f"{LOOPBACK}:0",  # without one, pages are served to every network
                        worker_dashboard_address=f"{LOOPBACK}:0",
                    )
                )
            self._client = self._stack.enter_context(Client(target, timeout=CONNECT_S, set_as_default=False))
        except (OSError, ValueError) as error:
            self._stack.close()
            reason = " ".join(str(error).split())[:300]
            raise UsageError(f"no Dask scheduler at {self._address}: {reason}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        """The address of this machine by which the workers reach it."""
        from distributed.comm.addressing import get_address_host
        from distributed.utils import get_ip

        scheduler = get_address_host(self._client.scheduler.address)
        return LOOPBACK if scheduler.startswith("127.") else str(get_ip(scheduler))

    def run(self, orders: Iterator[Order], control: Control) -> Iterator[tuple[Order, Done]]:
        """Run orders; yield each with what came of it, in the order in which they end.

        Orders are taken when there is room for them. Leaving the loop early cancels what was not begun.

        Raises:
            UsageError: The scheduler is gone.
        """
        waiting: dict[str, tuple[Order, Any]] = {}  # by slug
        keys = count(1)

        def submit(order: Order) -> None:
            number = next(keys)
            key = f"harness-{id(self)}-{number}-{order.trial.slug}"
            future = self._client.submit(on_worker, order, key=key, pure=False, priority=-number)
            waiting[order.trial.slug] = (order, future)
            # After the worker has handed over its result, if it could.
            future.add_done_callback(lambda future: control.ended.put((order.trial.slug, future)))

        def fill() -> None:
            room = max(LEAST_AHEAD, AHEAD * sum(self._client.nthreads().values())) - len(waiting)
            for order in islice(orders, max(0, room)):
                submit(order)

        heard = time.monotonic()
        try:
            fill()
            while waiting:
                try:
                    slug, ended = control.ended.get(timeout=LOOK_S)
                except queue.Empty:
                    heard = self._look(heard)
                    continue
                heard = time.monotonic()
                if slug not in waiting:
                    continue
                order, future = waiting[slug]
                done = ended if isinstance(ended, Done) else self._lost(order, future, control)
                if done is None:
                    submit(order)
                    continue
                del waiting[slug]
                yield order, done
                fill()
        finally:
            self._client.cancel([future for _, future in waiting.values()])

    def _lost(self, order: Order, future: Any, control: Control) -> Done | None:
        """Return what came of an order that ended without a result; None if it has to be given once more."""
        error = future.exception(timeout=CONNECT_S) if future.status == "error" else None
        control.release(order.trial.slug)
        if type(error).__name__ == "KilledWorker" or future.status == "cancelled":
            # Dask counts also what had not begun: it only stood in the queue of workers that were lost.
            return (
                Done(problem=lost(order.trial))
                if control.begun.get(order.trial.slug, 0) >= MOST_BEGUN
                else None
            )
        if error is None:
            return Done(problem=lost(order.trial))  # it was not allowed to begin
        return Done(problem=f"Dask could not run it: {type(error).__name__}: {error}")

    def _look(self, heard: float) -> float:
        """Raise if the scheduler is gone; say once in a while that there is no worker."""
        if self._client.status not in ("running", "connecting"):
            raise UsageError(f"the Dask scheduler at {self._address} is gone", remedy="start it, and go on")
        if time.monotonic() - heard > CONNECT_S and not self._client.nthreads():
            self._say(f"waiting for a worker of {self._client.scheduler.address}")
            return time.monotonic()
        return heard


def on_worker(order: Order) -> None:
    """Run an order in a worker, in the folder that ends with it."""
    from distributed import get_worker

    worker = get_worker()
    execute(order, Path(worker.local_directory), worker.address.rpartition("//")[2])
