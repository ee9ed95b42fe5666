"""Tokens into US dollars.

Prices come from ``genai-prices``, which is imported here only, and from ``benchmarks/prices.yaml`` for
models that it does not know.

An unknown price is None, never 0. Not covered: tiers by prompt length, because a record holds sums over
several calls; the base tier is used.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol

from harness.agents.transcript import Usage

PROBE = 1000  # tokens: small enough for the base tier of every model


class PerMillion(Protocol):
    """US dollars per million tokens."""

    @property
    def input(self) -> float:
        """Tokens that no cache was involved in."""

    @property
    def cache_write(self) -> float:
        """Tokens written to a cache."""

    @property
    def cache_read(self) -> float:
        """Tokens read from a cache."""

    @property
    def output(self) -> float:
        """Tokens generated, thinking included."""


@dataclass(frozen=True)
class Rates:
    """US dollars per million tokens."""

    input: float
    cache_write: float
    cache_read: float
    output: float


@dataclass(frozen=True)
class Prices:
    """Where prices come from: the user's own first, then the library."""

    own: Mapping[str, PerMillion] = field(default_factory=dict)

    def of(self, model: str, on: date) -> PerMillion | None:
        """The rates of a model on a day, or None where they are unknown.

        Args:
            model: A Claude model, or a Letta handle such as ``openai/gpt-5-mini``.
            on: The day.
        """
        return self.own.get(model) or _library_rates(model, on)

    def cost(self, model: str, usage: Usage, on: date) -> float | None:
        """US dollars, or None where the price is unknown."""
        rates = self.of(model, on)
        if rates is None:
            return None
        dollars = (
            usage.input * rates.input
            + usage.cache_write * rates.cache_write
            + usage.cache_read * rates.cache_read
            + usage.output * rates.output
        )
        return dollars / 1_000_000


@functools.lru_cache(maxsize=1024)
def _library_rates(model: str, on: date) -> Rates | None:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    provider, _, name = model.rpartition("/")
    when = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)

    def dollars(**tokens: int) -> float:
        price = calc_price(Tokens(**tokens), name, provider_id=provider or None, genai_request_timestamp=when)
        return float(price.total_price) * 1_000_000 / PROBE

    try:
        return Rates(
            input=dollars(input_tokens=PROBE),
            cache_write=dollars(input_tokens=PROBE, cache_write_tokens=PROBE),
            cache_read=dollars(input_tokens=PROBE, cache_read_tokens=PROBE),
            output=dollars(input_tokens=0, output_tokens=PROBE),
        )
    except (LookupError, ValueError):
        return None
