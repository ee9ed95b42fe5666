"""The one error of the translator: what it answers to a request that it cannot carry out."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that is answered with an HTTP status and a line of text.

    424 is for what failed behind the translator: unlike a 5xx it is not sent again, as a turn that the App
    Server has begun cannot be taken back.
    """

    def __init__(self, status: int, text: str, *, model: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.model = model

    def body(self) -> dict[str, Any]:
        """Return the error as Letta's V1 server shapes it; a failed model is told from a failed server."""
        return {"error": {"type": "llm_error", "message": self.text}} if self.model else {"detail": self.text}
