"""Claude through the SDK, against a loopback endpoint."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import pytest
from anthropic.resources import Messages
from anthropic.types import OutputConfigParam, ThinkingConfigParam
from fakes import FakeClaude, claude_error, no_wait

from harness.agents.messages import Answer, Refused
from harness.agents.transcript import Usage
from harness.backends.claude.messages_api import LOCAL_FIELDS, MessagesApi
from harness.backends.connect import Connection
from harness.backends.endpoints import Endpoints
from harness.backends.retries import Transport
from harness.errors import ApiError
from harness.tasks.pair import Pair, Settings, Thinking
from harness.tasks.task import Limits


def api(claude: FakeClaude) -> MessagesApi:
    return MessagesApi(claude.url, "a-key", Transport(no_wait()))


def ask(claude: FakeClaude, **options: Any) -> Answer:
    wanted = {"max_tokens": 100, **options}
    return api(claude).ask("coder", "claude-haiku-5-5", "Be brief.", "Say hello.", wanted)


def test_an_answer_with_its_usage(claude) -> None:
    """Text and all four kinds of tokens come back, each token counted once."""
    answer = ask(claude)
    assert "def add" in answer.text
    assert answer.usage == Usage(input=20, cache_write=5, cache_read=7, output=30)
    assert not answer.cut_off


def test_what_is_sent(claude) -> None:
    """Model, system prompt, one user message and the limit are sent, and nothing else."""
    ask(claude)
    assert claude.requests[0][2] == {
        "model": "claude-haiku-5-5",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 100,
    }


@pytest.mark.parametrize(("backend", "seconds"), [("anthropic", "600.0"), ("local", "3600.0")])
def test_a_model_on_this_machine_is_waited_for_longer(claude, trial, backend, seconds) -> None:
    """It answers one request after the other, and beside other work."""
    pair = trial.pair.model_copy(update={"backend": backend})
    where = Endpoints(letta_url="", letta_key="", claude_url=claude.url, claude_key="a-key")
    connection = Connection(trial.model_copy(update={"pair": pair}), where, Transport(no_wait()), dict, {})
    model = connection.claude(lambda _, live: live())
    model.ask("coder", "m", "Be brief.", "Say hello.", {"max_tokens": 100})
    assert claude.headers[0]["x-stainless-read-timeout"] == seconds


def test_settings_are_sent_as_the_messages_api_names_them(claude, pair) -> None:
    """Effort and thinking of a pair go into each request."""
    given = {"effort": "xhigh", "thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 9000}
    pair = Pair.model_validate({**pair.model_dump(exclude={"tester_settings"}), "coder_settings": given})
    ask(claude, **pair.options("coder", Limits(), epoch=1))
    sent = claude.requests[0][2]
    assert (sent["output_config"], sent["thinking"]) == ({"effort": "xhigh"}, given["thinking"])
    assert sent["max_tokens"] == 9000
    assert set(sent) == {"model", "system", "messages", "max_tokens", "output_config", "thinking"}


def test_an_epoch_is_a_sample_with_a_seed(claude, pair) -> None:
    """With a temperature both go out, whoever forwards them; without one neither does."""
    model = {**pair.model_dump(exclude={"tester_settings"}), "coder_settings": {"temperature": 0.2}}
    model |= {"coder": "qwen3-coder", "tester": "qwen3-coder"}  # Claude's API takes none
    sampled = Pair.model_validate(model).options("coder", Limits(), epoch=3)
    ask(claude, **sampled)
    api(claude).forward("coder", {"model": "m", "system": "s", "messages": [], **sampled})
    for _, _, sent in claude.requests:
        assert (sent["temperature"], sent["seed"]) == (0.2, 3)
    assert "seed" not in pair.options("coder", Limits(), epoch=3)


OLLAMA = {"input_tokens": 9, "output_tokens": 4}
VLLM = {**OLLAMA, "cache_creation_input_tokens": None, "cache_read_input_tokens": None}
LLAMA_SERVER = {**OLLAMA, "cache_read_input_tokens": 5}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": ""}


@pytest.mark.parametrize("usage", [OLLAMA, VLLM, LLAMA_SERVER, {**OLLAMA, "more": {"of": "it"}}])
@pytest.mark.parametrize(
    ("stop", "cut_off"), [("end_turn", False), ("max_tokens", True), ("stop_sequence", False), (None, False)]
)
def test_local_servers_speak_dialects(claude, monkeypatch, usage, stop, cut_off) -> None:
    """No fields of a cache, or empty ones; fields of their own; thoughts before the text; any stop reason."""
    body = {"id": "1", "type": "message", "role": "assistant", "model": "qwen"}
    text = {"type": "text", "text": "hi"}
    answer = {**body, "content": [THINKING, text], "stop_reason": stop, "usage": usage}
    monkeypatch.setattr(claude, "answer", lambda *_: (200, answer))
    made = ask(claude)
    assert (made.text, made.cut_off, made.usage.input, made.usage.output) == ("hi", cut_off, 9, 4)
    assert made.usage.cache_read == (usage.get("cache_read_input_tokens") or 0)


def test_the_settings_are_those_of_the_installed_sdk() -> None:
    """Efforts, kinds of thinking and fields that a pair may name are exactly those that the SDK sends."""
    effort = get_args(get_args(get_type_hints(OutputConfigParam)["effort"])[0])
    assert get_args(get_args(Settings.model_fields["effort"].annotation)[0]) == effort
    kinds = {get_args(get_type_hints(each)["type"])[0] for each in get_args(ThinkingConfigParam)}
    assert set(get_args(Thinking.model_fields["type"].annotation)) == kinds
    create = inspect.signature(Messages.create).parameters
    assert {"output_config", "thinking", "max_tokens"} <= set(create)
    assert not LOCAL_FIELDS & set(create)  # else they could go the straight way


def test_a_cut_off_answer(claude) -> None:
    """An answer that ran into max_tokens says so."""
    claude.stop_reason = "max_tokens"
    assert ask(claude).cut_off


@pytest.mark.parametrize(
    ("status", "kind", "message", "remedy"),
    [
        (401, "authentication_error", "invalid x-api-key", "ANTHROPIC_API_KEY"),
        (
            401,
            "authentication_error",
            "OAuth authentication is currently not supported.",
            "ANTHROPIC_API_KEY",
        ),
        (402, "billing_error", "Your organization's billing needs attention.", "credit"),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "credit",
        ),
        (403, "permission_error", "OAuth token does not meet scope requirement", "ANTHROPIC_API_KEY"),
        (404, "not_found_error", "model: claude-nope", "model's name"),
        (429, "rate_limit_error", "This request would exceed your account's rate limit.", "fewer workers"),
        (529, "overloaded_error", "Overloaded", "wait"),
    ],
)
def test_faults_carry_a_remedy(status, kind, message, remedy, claude) -> None:
    """A fault of the service or account says what the service said and what to do."""
    claude.faults = [("/messages", claude_error(status, kind, message))] * 9
    with pytest.raises(ApiError) as caught:
        ask(claude)
    assert message in str(caught.value)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusals_are_the_models_doing(status, claude) -> None:
    """A request that is refused for its content is no fault of the service."""
    claude.faults = [("/messages", claude_error(status, "invalid_request_error", "prompt is too long"))]
    with pytest.raises(Refused, match="prompt is too long"):
        ask(claude)


FULL = (
    "This model's maximum context length is 4096 tokens. However, you requested {} tokens "
    "({} in the messages, 4000 in the completion)."
)
TOO_MUCH = "max_tokens is too large: 64000. This model supports at most 16384 completion tokens"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (claude_error(400, "invalid_request_error", TOO_MUCH), ApiError),
        (
            claude_error(400, "invalid_request_error", FULL.format(4400, 400)),
            ApiError,
        ),
        (
            claude_error(400, "invalid_request_error", FULL.format(9000, 5000)),
            Refused,
        ),
        (claude_error(400, "invalid_request_error", "exceeds the available context size (8192)"), Refused),
        (claude_error(413, "request_too_large", "Request exceeds the maximum size"), Refused),
        (claude_error(400, "invalid_request_error", "Output blocked by content filtering policy"), Refused),
        (
            claude_error(400, "invalid_request_error", "Request blocked by your firewall's rule 102"),
            ApiError,
        ),
        (
            claude_error(400, "invalid_request_error", "context window tokens: rate limit"),
            ApiError,
        ),
        (claude_error(400, "invalid_request_error", "The long context window is in beta"), ApiError),
        (claude_error(400, "invalid_request_error", "output_config.effort: input too long"), ApiError),
        ((413, {"message": "Request body too large (proxy limit 1 kB)"}), ApiError),
        ((413, "<html>413 Request Entity Too Large</html>"), ApiError),
        ((400, "<html>blocked by our firewall</html>"), ApiError),
    ],
)
def test_what_a_pair_or_a_proxy_gets_wrong_is_no_models_doing(answer, error, claude) -> None:
    """Room for the answer is what a pair asks for; a page is of somebody between us and the service."""
    claude.faults = [("/messages", answer)]
    with pytest.raises(error):
        ask(claude)


@pytest.mark.parametrize("reason", ["model_context_window_exceeded", "refusal", "server_error"])
def test_an_answer_that_ends_too_early_is_cut_off(reason, claude) -> None:
    """Whatever the reason: half a file must not be written as a whole one."""
    claude.stop_reason = reason
    assert ask(claude).cut_off


def test_an_error_that_comes_as_an_answer_is_one(claude) -> None:
    """With the status of success: a service that is overloaded is asked again."""
    _, busy = claude_error(529, "overloaded_error", "Overloaded")
    claude.faults = [("/messages", (200, busy))]
    assert "def add" in ask(claude).text
    claude.faults = [("/messages", (200, claude_error(401, "authentication_error", "invalid x-api-key")[1]))]
    with pytest.raises(ApiError, match="401 invalid x-api-key") as caught:
        ask(claude)
    assert "ANTHROPIC_API_KEY" in caught.value.remedy


def test_nobody_there() -> None:
    """An endpoint that does not answer is named."""
    with pytest.raises(ApiError, match="http://127.0.0.1:9") as caught:
        MessagesApi("http://127.0.0.1:9", "k", Transport(no_wait())).ask(
            "coder", "m", "s", "p", {"max_tokens": 10}
        )
    assert "ANTHROPIC_BASE_URL" in caught.value.remedy
