"""Convert tokens to US dollars.

Prices come from ``genai-prices``, which is imported here only, and from ``benchmarks/prices.yaml`` for
models that it does not know. An unknown price is None, never 0.

What a request costs depends on the length of its own prompt. Letta and the Claude CLI report only the sum of
several requests; these count as equal ones.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from harness.agents.transcript import Usage
from harness.tasks.loader import Price, Tier
from harness.tasks.pair import ON_APP_SERVER


@dataclass(frozen=True)
class Prices:
    """Where prices come from: the user's own first, then the library."""

    own: Mapping[str, Price] = field(default_factory=dict)

    def of(self, model: str, on: date) -> Price | None:
        """Return the price of a model, or of a Letta handle such as ``openai/gpt-5-mini``, on a day."""
        model = model.removesuffix(ON_APP_SERVER)
        return self.own.get(model) or _library_price(model, on)

    def cost(self, model: str, usage: Usage, on: date, requests: int = 1) -> float | None:
        """Return US dollars for requests that used these tokens together; None where the price is unknown."""
        price = self.of(model, on)
        return None if price is None else charge(price, usage, requests)


def charge(price: Price, usage: Usage, requests: int = 1) -> float:
    """Return US dollars for a number of equal requests that used these tokens together."""
    rates = next((tier for tier in reversed(price.tiers) if usage.prompt > tier.above * requests), price)
    tokens = (
        usage.input * rates.input
        + (usage.cache_write - usage.cache_write_1h) * rates.cache_write
        + usage.cache_write_1h * rates.cache_write_1h
        + usage.cache_read * rates.cache_read
        + usage.output * rates.output
    )
    return tokens / 1_000_000 + price.request * requests


def charge_role(price: Price, total: Usage, requests: Sequence[tuple[Usage, int]]) -> float | None:
    """Return US dollars for a role of a trial: by its requests, or where they are unknown by its sum.

    None if the sum does not decide: there is a fee per request, or a tier that one of them may have reached.
    """
    if requests:
        return sum(charge(price, usage, count) for usage, count in requests)
    if price.request or any(total.prompt > tier.above for tier in price.tiers):
        return None
    return charge(price, total)


@functools.lru_cache(maxsize=1024)
def _library_price(model: str, on: date) -> Price | None:
    """Return a price of the library: its rates, found as what one more token costs in each of its tiers."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    # The first part alone names who is paid: groq/openai/gpt-oss-120b is Groq's openai/gpt-oss-120b.
    provider, slash, name = model.partition("/")
    if not slash:
        provider, name = "", model
    when = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)

    def price(**tokens: int) -> Decimal:
        found = calc_price(Tokens(**tokens), name, provider_id=provider or None, genai_request_timestamp=when)
        return found.total_price

    def rates(prompt: int) -> dict[str, float]:
        at, longer = price(input_tokens=prompt), prompt + 1
        more = {
            "input": price(input_tokens=longer),
            "cache_write": price(input_tokens=longer, cache_write_tokens=1),
            "cache_write_1h": price(input_tokens=longer, cache_write_tokens=1, cache_write_1h_tokens=1),
            "cache_read": price(input_tokens=longer, cache_read_tokens=1),
            "output": price(input_tokens=prompt, output_tokens=1),
        }
        return {kind: float((total - at) * 1_000_000) for kind, total in more.items()}

    try:
        found = calc_price(
            Tokens(input_tokens=0), name, provider_id=provider or None, genai_request_timestamp=when
        )
        prices = vars(found.model_price).values()
        starts = sorted({tier.start for each in prices for tier in getattr(each, "tiers", ())})
        return Price(
            **rates(0),
            request=float(found.total_price),
            tiers=tuple(Tier(above=start, **rates(start + 1)) for start in starts),
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
    if size >= 0.1:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.2g}" if size >= 1e-4 else f"{sign}${size:.1e}"
