"""harness/results/pricing.py: tokens into dollars, from the library's prices and the user's own."""

import datetime as dt

import pytest
from genai_prices import Usage as Tokens
from genai_prices import calc_price

from harness.agents.transcript import Usage
from harness.results.pricing import Prices
from harness.tasks.loader import Price

DAY = dt.date(2026, 1, 15)
KNOWN = [
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "anthropic/claude-sonnet-4-5",
    "openai/gpt-4o-mini",
    "openai/gpt-5-mini",
]


def by_the_library(model, **tokens):
    """What the library itself charges, in dollars."""
    provider, _, name = model.rpartition("/")
    when = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
    price = calc_price(Tokens(**tokens), name, provider_id=provider or None, genai_request_timestamp=when)
    return float(price.total_price)


@pytest.mark.parametrize("model", KNOWN)
def test_known_models_have_rates(model):
    """Names of Claude and handles of Letta are both understood; output costs more than input."""
    rates = Prices().of(model, DAY)
    assert 0 < rates.cache_read < rates.input < rates.output


@pytest.mark.parametrize("model", KNOWN)
def test_a_cost_is_what_the_library_charges(model):
    """The four kinds of tokens, priced one by one, add up to the library's price for all of them."""
    usage = Usage(input=1000, cache_write=500, cache_read=2000, output=300)
    expected = by_the_library(
        model, input_tokens=3500, cache_write_tokens=500, cache_read_tokens=2000, output_tokens=300
    )
    assert Prices().cost(model, usage, DAY) == pytest.approx(expected)


def test_claudes_cache_has_anthropics_ratios():
    """Writing to the cache costs 1.25 times the input, reading a tenth (Anthropic's price list)."""
    rates = Prices().of("claude-sonnet-4-5", DAY)
    assert rates.cache_write == pytest.approx(1.25 * rates.input)
    assert rates.cache_read == pytest.approx(0.1 * rates.input)


@pytest.mark.parametrize(
    "model",
    [
        "no-such-model",
        "nobody/claude",
        "openai/no-such-model",
        "",
        "/",
        "a/b/c",
        "openai-proxy/scripted",
        "x" * 500,
    ],
)
def test_an_unknown_price_is_none_and_never_zero(model):
    """What is not known is said to be unknown."""
    assert Prices().of(model, DAY) is None
    assert Prices().cost(model, Usage(input=1), DAY) is None
    assert Prices().cost(model, Usage(), DAY) is None


def test_own_prices_win_over_the_librarys():
    """A price that the user wrote down is taken for exactly that name."""
    prices = Prices({"claude-sonnet-4-5": Price(input=1, output=2), "mine/x": Price(input=0, output=0)})
    assert prices.of("claude-sonnet-4-5", DAY).output == 2
    assert prices.cost("mine/x", Usage(input=10**9, output=10**9), DAY) == 0
    assert prices.of("anthropic/claude-sonnet-4-5", DAY).output > 2


def test_the_arithmetic_of_a_cost():
    """Dollars are tokens times rate over a million, kind by kind."""
    prices = Prices({"m": Price(input=1, cache_write=2, cache_read=0.5, output=10)})
    usage = Usage(input=1_000_000, cache_write=500_000, cache_read=2_000_000, output=100_000)
    assert prices.cost("m", usage, DAY) == pytest.approx(1 + 1 + 1 + 1)
    assert prices.cost("m", Usage(), DAY) == 0


@pytest.mark.parametrize("day", [dt.date(2020, 1, 1), dt.date(2099, 12, 31)])
def test_any_day_can_be_asked_for(day):
    """A day before or after all known prices gives rates or None, never an error."""
    rates = Prices().of("claude-sonnet-4-5", day)
    assert rates is None or rates.input > 0
