"""A WebSocket to the App Server: JSON frames, commands with one answer, and no wait without a limit.

``websockets`` is imported here only. Written against App Server 0.34.12, protocol version 1.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections import deque
from contextlib import ExitStack, suppress
from typing import Any

from harness.local.app_server.errors import Refusal

ANSWER_S = 120.0  # a command takes a second; one of eight at once on a busy machine, 14
GONE = "the App Server is gone; see its log, then: harness down; harness up --letta app-server"
Frame = dict[str, Any]


class Connection:
    """One connection, for one thread at a time. Every method raises ``Refusal`` if the server is gone."""

    def __init__(self, url: str) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        self._numbers = itertools.count(1)
        # The server remembers request ids for good, over connections and restarts.
        self._name = uuid.uuid4().hex
        self._kept: deque[Frame] = deque()
        self._stack = ExitStack()
        self._lost = (WebSocketException, OSError, EOFError)
        try:
            # A busy server may answer pings late, and is not dead for that.
            connecting = connect(
                url, proxy=None, compression=None, max_size=None, ping_interval=None, open_timeout=ANSWER_S
            )
            self._socket = self._stack.enter_context(connecting)
        except self._lost:
            raise Refusal(424, GONE) from None

    def close(self) -> None:
        """Close the connection; whoever waits for a frame on it gets a ``Refusal``."""
        with suppress(*self._lost):
            self._stack.close()

    def new_id(self, kind: str) -> str:
        """Return an id that was never used before."""
        return f"{kind}-{self._name}-{next(self._numbers)}"

    def send(self, frame: Frame) -> None:
        """Send a frame."""
        try:
            self._socket.send(json.dumps(frame))
        except self._lost:
            raise Refusal(424, GONE) from None

    def ask(self, command: str, **fields: Any) -> Frame:
        """Send a command and return its answer; frames in between are kept for ``receive``."""
        request_id = self.new_id(command)
        self.send({"type": command, "request_id": request_id, **fields})
        deadline = time.monotonic() + ANSWER_S
        while True:
            frame = self._next(deadline, f"the App Server did not answer {command}")
            if frame.get("request_id") != request_id:
                self._kept.append(frame)
            elif frame.get("success", frame.get("accepted", True)):
                return frame
            else:
                text = frame.get("error") or frame.get("reason") or "no reason given"
                raise Refusal(424, f"the App Server refused {command}: {text}")

    def receive(self, deadline: float, doing: str) -> Frame:
        """Return the next frame; ``deadline`` is one of ``time.monotonic``, ``doing`` names what is late."""
        return self._kept.popleft() if self._kept else self._next(deadline, doing)

    def _next(self, deadline: float, doing: str) -> Frame:
        started = time.monotonic()
        try:
            frame = json.loads(self._socket.recv(timeout=max(0.0, deadline - started)))
        except TimeoutError:
            raise Refusal(424, f"{doing} within the time allowed") from None
        except self._lost:
            raise Refusal(424, GONE) from None
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            raise Refusal(424, "the App Server sent what is no frame")
        return frame
