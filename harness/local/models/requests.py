"""The common parts of both HTTP APIs: strictly typed request bodies, sampling, ids made from the request."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, NonNegativeFloat, NonNegativeInt, ValidationError

from harness.local.models.chat import RequestError, Sampling


class Part(BaseModel):
    """A part of a request body. No value is converted; fields that are not covered are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


class TextBlock(Part):
    """The only kind of content that both APIs support."""

    type: Literal["text"]
    text: str


def as_blocks(content: Any) -> Any:
    """Return a string as a list of one text block, and anything else as it is."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


TextBlocks = Annotated[list[TextBlock], BeforeValidator(as_blocks)]


def joined(blocks: list[TextBlock] | None) -> str:
    """Return the text of all blocks, separated by blank lines."""
    return "\n\n".join(block.text for block in blocks or ())


class RequestBody(Part):
    """The fields that have the same name and meaning in both APIs."""

    model: str
    temperature: NonNegativeFloat | None = None
    top_p: NonNegativeFloat | None = None
    seed: NonNegativeInt | None = None

    def sampling(self, max_tokens: int, stop: list[str] | None) -> Sampling:
        """Return how to decode; what the request leaves open is greedy."""
        return Sampling(max_tokens, self.temperature or 0, self.top_p or 1, self.seed, tuple(stop or ()))


BodyT = TypeVar("BodyT", bound=RequestBody)


def parse(kind: type[BodyT], body: Any) -> BodyT:
    """Parse a request body; raise RequestError for the first field that is missing, wrong or not covered."""
    try:
        return kind.model_validate(body)
    except ValidationError as problem:
        first = problem.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise RequestError(f"{field}: {first['msg']}") from None


def digest(body: Any) -> str:
    """Return an id that depends on the request alone, so that a recording of the answer is stable."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]
