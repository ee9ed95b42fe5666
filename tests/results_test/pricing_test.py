"""harness/results/pricing.py: tokens into dollars, from the library's prices and the user's own."""

import datetime as dt
import json

import pytest
from genai_prices import Usage as Tokens
from genai_prices import calc_price
from rows import a_row

from harness.agents.transcript import Spent, Transcript, Usage
from harness.grading.verdict import Verdict
from harness.plugin.reporting import junit_properties
from harness.results.aggregate import add_costs
from harness.results.dataframe import frame
from harness.results.pricing import Prices, charge
from harness.results.record import measured
from harness.tasks.loader import Price, Tier
from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.task import Task
from harness.tasks.trial import Trial

DAY = dt.date(2026, 1, 15)
KNOWN = [
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "anthropic/claude-sonnet-4-5",
    "openai/gpt-4o-mini",
    "openai/gpt-5-mini",
]


def by_the_library(model, **tokens):
    """What the library itself charges for one request, in dollars."""
    provider, name = model.split("/", 1) if "/" in model else (None, model)
    when = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
    price = calc_price(Tokens(**tokens), name, provider_id=provider, genai_request_timestamp=when)
    return float(price.total_price)


def of_a_request(model, usage):
    """What the library itself charges for these tokens in one request."""
    return by_the_library(
        model,
        input_tokens=usage.input + usage.cache_write + usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        cache_read_tokens=usage.cache_read,
        output_tokens=usage.output,
    )


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


LONG = Usage(input=150_000, cache_read=60_000, output=2000)  # beyond 200,000 tokens of prompt
SHORT = Usage(input=9000, cache_write=500, cache_read=2000, output=300)
HOUR = Usage(input=100, cache_write=90_000, output=50, cache_write_1h=40_000)
TRIALS = {  # models of orchestrator and coder, and what each of their requests used
    "one request each": (("openai/gpt-5-mini", [SHORT]), ("claude-haiku-4-5", [SHORT])),
    "many short ones, long together": (
        ("openai/gpt-4o-mini", [SHORT] * 30),
        ("claude-sonnet-4-5", [SHORT] * 30),
    ),
    "one long among short ones": (
        ("google_ai/gemini-2.5-pro", [SHORT, LONG]),
        ("claude-sonnet-4-5", [SHORT, LONG, SHORT]),
    ),
    "an hour of cache": (("anthropic/claude-opus-4-5", [HOUR, SHORT]), ("claude-sonnet-4-5", [HOUR, HOUR])),
    "an hour of cache in a long prompt": (("openai/gpt-5", [SHORT]), ("claude-sonnet-4-5", [LONG + HOUR])),
    "a fee for each request": (
        ("perplexity/sonar", [Usage(input=1000, output=500)] * 4),
        ("claude-haiku-4-5", [SHORT]),
    ),
    "two slashes": (("groq/openai/gpt-oss-120b", [SHORT, SHORT]), ("claude-sonnet-4-5", [LONG])),
    "four slashes": (
        ("fireworks/accounts/fireworks/models/deepseek-v3p2", [SHORT]),
        ("openrouter/anthropic/claude-sonnet-4.5", [SHORT, LONG]),
    ),
    "a long context of Google's": (("google_ai/gemini-2.5-pro", [LONG, LONG]), ("openai/gpt-5", [LONG])),
    "Bedrock": (
        ("openai/gpt-5-mini", [LONG]),
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", [SHORT, HOUR]),
    ),
}


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_costs_what_the_library_charges_for_each_of_its_requests(name):
    """From the transcript through the record to the table, each request keeps its length, cache and fee."""
    models, spent = {}, []
    for role, (model, requests) in zip(("orchestrator", "coder"), TRIALS[name], strict=True):
        models[role] = model
        spent += [Spent(1, role, model, usage) for usage in requests]
    expected = {
        role: [of_a_request(each.model, each.usage) for each in spent if each.role == role] for role in models
    }
    row = a_measured_row(models, spent)
    costs = add_costs(frame([json.loads(json.dumps(row))]), Prices())
    for role, each in expected.items():
        assert costs[f"{role}_cost"].iloc[0] == pytest.approx(sum(each))
        assert min(each) > 0
    properties = dict(junit_properties(row, Prices()))
    assert float(properties["cost_usd"]) == pytest.approx(sum(map(sum, expected.values())), abs=1e-6)


def a_measured_row(models, spent):
    """A row of a trial with these models and answers."""
    pair = Pair(
        name="p", orchestrator=Orchestrator(model=models["orchestrator"]), coder=models["coder"], tester="t"
    )
    code = {"code_file": "a.py", "test_file": "test_a.py", "reference": "r", "acceptance": "a"}
    trial = Trial(task=Task(id="t", title="T", spec="s", **code), pair=pair, epoch=1)
    verdict = Verdict("wrong", "why", None, None, None, None)
    recorded = {"at": DAY.isoformat()}
    return measured(trial, Transcript(tuple(spent)), verdict, mode="replay", recorded=recorded).row()


def test_a_handle_is_asked_of_the_provider_that_is_paid():
    """The first part is the provider's, however many there are: Groq's gpt-oss-120b is not OpenAI's."""
    assert Prices().of("groq/openai/gpt-oss-120b", DAY).input == pytest.approx(0.15)
    assert Prices().of("groq/openai/gpt-oss-120b", DAY) != Prices().of("openai/gpt-oss-120b", DAY)


def test_a_fee_is_one_for_each_request():
    """It is no price of tokens: a million of them in a hundred requests cost a hundred fees."""
    price = Prices().of("perplexity/sonar", DAY)
    assert (price.input, price.output, price.request) == pytest.approx((1, 1, 0.012))
    assert Prices().cost("perplexity/sonar", Usage(input=1_000_000), DAY) == pytest.approx(1.012)
    assert Prices().cost("perplexity/sonar", Usage(input=1_000_000), DAY, requests=100) == pytest.approx(2.2)


def test_an_hour_of_cache_costs_twice_the_input():
    """And five minutes 1.25 times (Anthropic's price list)."""
    price = Prices().of("claude-haiku-4-5", DAY)
    assert price.cache_write_1h == pytest.approx(2 * price.input)


def test_equal_requests_have_the_tier_of_one_of_them():
    """Requests of which only the sum is known are no long prompt if one of them is none."""
    price = Prices().of("claude-sonnet-4-5", DAY)
    assert [tier.above for tier in price.tiers] == [200_000]
    sums = Usage(input=300_000)
    assert [charge(price, sums, requests) for requests in (1, 2, 10)] == pytest.approx([1.8, 0.9, 0.9])


def test_a_record_without_its_requests_is_priced_where_its_sum_decides():
    """A record of schema 3: the sum of short prompts is in no tier; else the cost is unknown, never 0."""
    rows = [
        a_row("short", coder="claude-sonnet-4-5", coder_input=200_000),
        a_row("long", coder="claude-sonnet-4-5", coder_input=200_001),
        a_row("fee", coder="perplexity/sonar", coder_input=1),
        a_row("none", coder="perplexity/sonar"),
    ]
    old = [{key: value for key, value in {**row, "schema": 3}.items() if key != "requests"} for row in rows]
    for given in (old, rows):
        costs = add_costs(frame(given), Prices()).set_index("pair")["coder_cost"]
        assert costs[["short", "none"]].tolist() == pytest.approx([0.6, 0])
        assert costs[["long", "fee"]].isna().all()


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


def test_own_prices_may_have_a_fee_and_tiers():
    """A price file can say what the library can: a fee, an hour of cache, long prompts."""
    tier = Tier(input=10, output=20, above=1000)
    price = Price(input=1, output=2, cache_write=3, request=0.5, tiers=(tier,))
    assert price.cache_write_1h == 3
    assert charge(price, Usage(input=1000)) == pytest.approx(0.501)
    assert charge(price, Usage(input=900, cache_read=101)) == pytest.approx(0.51001)
