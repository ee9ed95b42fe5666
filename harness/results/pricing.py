"""Convert tokens to US dollars.

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

from harness.agents.transcript import Usage
from harness.results.columns import KINDS
from harness.tasks.loader import Price

PROBE = 1000  # tokens: small enough for the base tier of every model


@dataclass(frozen=True)
class Prices:
    """Where prices come from: the user's own first, then the library."""

    own: Mapping[str, Price] = field(default_factory=dict)

    def of(self, model: str, on: date) -> Price | None:
        """Return the price of a model, or of a Letta handle such as ``openai/gpt-5-mini``, on a day."""
        return self.own.get(model) or _library_price(model, on)

    def cost(self, model: str, usage: Usage, on: date) -> float | None:
        """Return US dollars, or None where the price is unknown."""
        price = self.of(model, on)
        if price is None:
            return None
        return float(sum(getattr(usage, kind) * getattr(price, kind) for kind in KINDS)) / 1_000_000


@functools.lru_cache(maxsize=1024)
def _library_price(model: str, on: date) -> Price | None:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    provider, _, name = model.rpartition("/")
    when = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)

    def per_million(**tokens: int) -> float:
        price = calc_price(Tokens(**tokens), name, provider_id=provider or None, genai_request_timestamp=when)
        return float(price.total_price) * 1_000_000 / PROBE

    try:
        return Price(
            input=per_million(input_tokens=PROBE),
            cache_write=per_million(input_tokens=PROBE, cache_write_tokens=PROBE),
            cache_read=per_million(input_tokens=PROBE, cache_read_tokens=PROBE),
            output=per_million(input_tokens=0, output_tokens=PROBE),
        )
    except (LookupError, ValueError):
        return None


def dollars(value: float | None) -> str:
    """Return money in so many digits that something never looks like nothing."""
    if value is None:
        return "unknown"
    if value == 0:
        return "$0"
    sign, size = "-" if value < 0 else "", abs(value)
    return f"{sign}${size:{'.2f' if size >= 1 else '.2g' if size >= 1e-4 else '.1e'}}"
