"""The doctor's real calls, against loopback servers that answer as the real ones do."""

from __future__ import annotations

from datetime import date

import pytest
from fakes import Fake, FakeClaude, FakeLetta, claude_error, say

from harness.backends import endpoints
from harness.backends.checks import services
from harness.backends.checks.finding import Finding
from harness.backends.endpoints import Endpoints
from harness.local.stack import app_server_install
from harness.tasks.pair import Orchestrator, Pair

KEY = "sk-ant-api03-a-key-for-tests"
OAT = "sk-ant-oat01-a-login-for-tests"
SPEND_CAP = {
    "type": "error",
    "error": {
        "type": "rate_limit_error",
        "message": "You have reached your specified API usage limits.",
        "details": {"error_code": "enforced_spend_limit_reached"},
    },
}


def at(letta: Fake | None = None, claude: Fake | None = None, key: str = KEY) -> Endpoints:
    return Endpoints(letta.url if letta else "", "no-key", claude.url if claude else "", key, {})


def asked(claude: FakeClaude, key: str = KEY) -> Finding:
    return services.claude_model(at(claude=claude, key=key), "claude-haiku-5-5")


@pytest.mark.parametrize(
    ("answer", "key", "expected"),
    [
        (
            claude_error(401, "authentication_error", "invalid x-api-key"),
            OAT,
            ("error", "Claude CLI", "sk-ant-api"),
        ),
        (
            claude_error(401, "authentication_error", "OAuth authentication is currently not supported."),
            KEY,
            ("error", "Claude CLI", "claude-code"),
        ),
        (
            claude_error(
                400,
                "invalid_request_error",
                "This credential is only authorized for use with Claude Code and cannot be used for other "
                "API requests.",
            ),
            KEY,
            ("error", "Claude CLI", "claude-code"),
        ),
        (
            claude_error(401, "authentication_error", "invalid x-api-key"),
            KEY,
            ("error", "not valid", "valid API key"),
        ),
        (
            claude_error(401, "authentication_error", "Invalid bearer token"),
            KEY,
            ("error", "cut off", "whole"),
        ),
        (
            claude_error(
                401,
                "authentication_error",
                "OAuth token has expired. Please obtain a new token or refresh it.",
            ),
            KEY,
            ("error", "expired", "new token"),
        ),
        (
            claude_error(
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
            ),
            KEY,
            ("error", "account is empty", "add credit"),
        ),
        (
            claude_error(402, "billing_error", "Billing needs attention."),
            KEY,
            ("error", "billing problem", "billing"),
        ),
        ((429, SPEND_CAP), KEY, ("error", "spending limit", "raise the limit")),
        (claude_error(403, "permission_error", "No access."), KEY, ("error", "may not", "workspace")),
        (
            claude_error(404, "not_found_error", "model: claude-nope"),
            KEY,
            ("error", "no such model", "model's name"),
        ),
        (
            claude_error(429, "rate_limit_error", "Rate limit."),
            KEY,
            ("warning", "too many requests", "fewer workers"),
        ),
        (claude_error(529, "overloaded_error", "Overloaded"), KEY, ("warning", "overloaded", "wait")),
        (claude_error(500, "api_error", "Internal server error"), KEY, ("warning", "failed", "again")),
        ((200, {"hello": "world"}), KEY, ("error", "refused", "ANTHROPIC_BASE_URL")),
    ],
)
def test_each_fault_of_claude_is_told_apart(answer, key, expected, claude) -> None:
    """Every error body of the API has its own meaning and remedy, from one request, and shows no key."""
    claude.faults = [("/messages", answer)]
    found = asked(claude, key)
    level, meaning, remedy = expected
    assert found.level == level
    assert meaning in found.seen
    assert remedy in found.remedy
    assert key not in f"{found}"
    assert [path for _, path, _ in claude.requests] == ["/v1/messages"]


def test_a_model_that_answers_was_asked_for_one_token(claude) -> None:
    """The cheapest call that an empty account refuses."""
    assert asked(claude).level == "ok"
    assert claude.requests[0][2] == {
        "model": "claude-haiku-5-5",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_nobody_at_claudes_address() -> None:
    """An endpoint that does not answer is an error that names the variable."""
    where = Endpoints("", "", "http://127.0.0.1:9", KEY, {})
    found = services.claude_model(where, "claude-haiku-5-5")
    assert (found.level, "ANTHROPIC_BASE_URL" in found.remedy) == ("error", True)


def test_a_model_that_ends_soon(claude) -> None:
    """The day on which a model in use ends is told, early enough."""
    claude.retires = {"claude-haiku-5-5": "2026-12-24T00:00:00Z", "claude-opus-5-5": "2026-11-30T00:00:00Z"}
    wanted = ["claude-haiku-5-5"]
    (found,) = services.claude_models(at(claude=claude), wanted, date(2026, 11, 24))
    assert (found.level, "2026-12-24" in found.seen) == ("warning", True)
    (found,) = services.claude_models(at(claude=claude), wanted, date(2026, 1, 1))
    assert found.level == "ok"


def test_an_endpoint_that_lists_no_models_is_no_fault(claude) -> None:
    """Other Messages APIs need not list theirs."""
    claude.faults = [("limit=100", (404, {"detail": "Not Found"}))]
    assert list(services.claude_models(at(claude=claude), ["m"], date(2026, 1, 1))) == []


def test_letta_and_its_models(letta) -> None:
    """Version and number of models are told; a handle that is not offered is an error with the nearest."""
    found = list(
        services.letta(at(letta), [Orchestrator(model=m) for m in ("openai/gpt-5-mini", "openai/gpt5")])
    )
    assert [each.level for each in found] == ["ok", "ok", "error"]
    assert "0.16.8" in found[0].seen
    assert "does not offer 'openai/gpt5'; did you mean 'openai/gpt-5'?" in found[2].seen


def test_letta_of_another_version(letta) -> None:
    """It may work: a warning."""
    letta.faults = [("/health/", (200, {"version": "0.99", "status": "ok"}))]
    assert next(services.letta(at(letta))).level == "warning"


def test_the_other_kind_of_letta(letta) -> None:
    """A pair for one server is not recorded with the other: an error before the first trial."""
    release = f"App Server {app_server_install.VERSION} through the harness's translator"
    for version, server in (("0.16.8", "app-server"), (release, "v1")):
        letta.faults = [("/health/", (200, {"version": version, "status": "ok"}))]
        seen, wrong = services.letta(at(letta), [Orchestrator(model="local/scripted", server=server)])
        assert (seen.level, wrong.level) == ("ok", "error")
        assert f"the pair is for `server: {server}`" in wrong.seen
        assert f"harness up --letta {server}" in wrong.remedy


@pytest.mark.parametrize("answer", [(200, {}), (200, "hello"), (404, {"detail": "Not Found"}), (0, None)])
def test_something_else_at_lettas_address(answer, letta) -> None:
    """What is no Letta server is an error with a remedy, never a traceback."""
    letta.faults = [("/health/", answer)]
    found = list(services.letta(at(letta)))
    assert [each.level for each in found] == ["error"]
    assert found[0].remedy


def test_an_orchestrator_that_answers(letta) -> None:
    """It is asked one thing by an agent with the harness's label, and the agent is gone afterwards."""
    letta.faults = []
    found = services.orchestrator(at(letta), "openai/gpt-5-mini")
    assert (found.level, letta.agents) == ("ok", {})
    assert letta.requests[0][2]["tags"] == ["pair-harness"]


def test_an_orchestrator_without_credit(letta) -> None:
    """What the provider said behind Letta comes through, with what to do; the agent is gone all the same."""
    said = {"type": "llm_error", "message": "INTERNAL", "detail": "You exceeded your current quota"}
    letta.faults = [("/messages", (500, {"error": said}))]
    found = services.orchestrator(at(letta), "openai/gpt-5-mini")
    assert (found.level, letta.agents) == ("error", {})
    assert "exceeded your current quota" in found.seen
    assert "key, credit" in found.remedy
    assert len([path for _, path, _ in letta.requests if path.endswith("/messages")]) == 1


class FakeOpenAI(Fake):
    """Lists two models."""

    def answer(self, method, path, _body):
        assert (method, path) == ("GET", "/v1/models")
        return 200, {"data": [{"id": "a"}, {"id": "b"}]}


@pytest.mark.parametrize(
    ("fault", "level", "said"),
    [
        (None, "ok", "2 models"),
        ((401, {"error": {"message": "Incorrect API key provided: sk-1234"}}), "error", "401"),
        ((200, {}), "error", "no list of models"),
        ((0, None), "error", "no list of models"),
    ],
)
def test_openai(fault, level, said) -> None:
    """The key is tried on a list that costs nothing, and is never shown."""
    with FakeOpenAI().running() as openai:
        openai.faults = [("/models", fault)]
        environment = {"OPENAI_API_KEY": "sk-1234-for-tests", "OPENAI_BASE_URL": f"{openai.url}/v1"}
        found = services.openai(environment)
        assert openai.headers[0]["Authorization"] == "Bearer sk-1234-for-tests"
    assert (found.level, said in found.seen) == (level, True)
    assert "sk-1234" not in str(found)


@pytest.fixture
def environment(letta, claude) -> dict[str, str]:
    """The variables of a live run on the stand-ins."""
    return {"LETTA_BASE_URL": letta.url, "ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": KEY}


def a_pair(name: str, handle: str, coder: str, **more: str) -> Pair:
    return Pair(name=name, orchestrator=Orchestrator(model=handle), coder=coder, **more)


def test_each_thing_is_asked_once_for_all_pairs(environment, letta, claude) -> None:
    """Two pairs that share a server and a coder cost one call for it."""
    pairs = [
        a_pair("one", "openai/gpt-5-mini", "claude-haiku-5-5"),
        a_pair("two", "openai/gpt-5", "claude-haiku-5-5", tester="claude-opus-5-5"),
    ]
    found = list(services.of_pairs(pairs, environment))
    assert {each.level for each in found} == {"ok"}
    asked_models = [body["model"] for _, path, body in claude.requests if path == "/v1/messages"]
    assert asked_models == ["claude-haiku-5-5", "claude-opus-5-5"]
    assert [path for _, path, _ in letta.requests].count("/v1/models/") == 1
    assert [path for _, path, _ in letta.requests].count("/v1/agents/") == 2


def test_local_orchestrators_and_mocks_are_not_asked(environment, letta, claude) -> None:
    """What costs nothing has no account that could be empty."""
    pairs = [a_pair("mock", "local/scripted", "oracle", backend="mock")]
    assert {each.level for each in services.of_pairs(pairs, environment)} == {"ok"}
    assert [path for _, path, _ in letta.requests] == ["/v1/health/", "/v1/models/"]
    assert claude.requests == []


def test_without_asking(environment, letta, claude) -> None:
    """Only the server is looked at, and nothing is paid."""
    pairs = [a_pair("one", "openai/gpt-5-mini", "claude-haiku-5-5")]
    assert {each.level for each in services.of_pairs(pairs, environment, ask=False)} == {"ok"}
    assert claude.requests == []
    assert "/v1/agents/" not in [path for _, path, _ in letta.requests]


def test_an_unknown_turn_end() -> None:
    """An orchestrator whose turn ends in an error of its provider does not answer."""
    with FakeLetta((say("", stop="llm_api_error"),)).running() as letta:
        assert services.orchestrator(at(letta), "openai/gpt-5").level == "error"


def test_a_stand_in_that_is_not_served(environment, letta, claude, monkeypatch) -> None:
    """The nearest that is served is told, before any trial, and how to fetch one."""
    monkeypatch.setattr(endpoints, "_embedded", lambda name: claude.url)
    claude.retires = {"qwen2.5-coder-1.5b": ""}
    pair = a_pair("local", "local/scripted", "qwen2.5-coder-1b", tester="qwen2.5-coder-1.5b", backend="local")
    found = [each for each in services.of_pairs([pair], environment, ask=False) if each.check == "stand-in"]
    assert [each.level for each in found] == ["error", "ok"]
    assert "does not serve 'qwen2.5-coder-1b'; did you mean 'qwen2.5-coder-1.5b'?" in str(found[0])
    assert "harness up --models" in str(found[0])
