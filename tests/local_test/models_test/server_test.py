"""The HTTP endpoints of the local model server, over a fake model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the model server needs the extra `live`")
from starlette.testclient import TestClient

from harness.local.models.chat import Completion, EngineFailure, Message, PromptTooLong, Sampling
from harness.local.models.engine import Models
from harness.local.models.providers import Providers
from harness.local.models.server import build_app

SMOLLM = "smollm2-135m-instruct"
TOOL = {
    "type": "function",
    "function": {"name": "run_claude_coder", "parameters": {"properties": {"spec": {"type": "string"}}}},
}
TASK = "Implementation file: a.py\nTest file: t.py\nSpecification:\nAdd."


@dataclass
class FakeModel:
    """A text model without a language model: the same ``text`` each time, one token per word."""

    text: str = "hello"
    context: int = 100
    asked: list[tuple[list[Message], Sampling, Mapping[str, Any] | None]] = field(default_factory=list)

    def complete(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        self.asked.append((list(messages), sampling, schema))
        prompt = sum(len(message.text.split()) for message in messages)
        if prompt >= self.context:
            raise PromptTooLong(prompt, self.context - 1)
        words = self.text.split()
        kept = words[: sampling.max_tokens]
        finish: Any = "length" if len(kept) < len(words) else "stop"
        return Completion(self.text if finish == "stop" else " ".join(kept), prompt, 2, len(kept), finish)


@pytest.fixture
def orchestrator() -> FakeModel:
    """The one model that is served."""
    return FakeModel()


@pytest.fixture
def coder(orchestrator: FakeModel) -> FakeModel:
    """The same model, behind the Anthropic API."""
    return orchestrator


@pytest.fixture
def client(orchestrator: FakeModel) -> TestClient:
    """A client of the whole application."""
    return TestClient(
        build_app(Models({SMOLLM: Path("x.gguf")}, lambda name, path: orchestrator), Providers({}, {}))
    )


def chat(client: TestClient, text: str = "Hi", **fields: Any) -> Any:
    """Asks the OpenAI API for one completion."""
    body = {"model": SMOLLM, "messages": [{"role": "user", "content": text}], **fields}
    return client.post("/v1/chat/completions", json=body)


def message(client: TestClient, content: Any = "Hi", **fields: Any) -> Any:
    """Asks the Anthropic API for one message."""
    body = {"model": SMOLLM, "max_tokens": 9, "messages": [{"role": "user", "content": content}], **fields}
    return client.post("/v1/messages", json=body)


def test_the_models_are_listed_for_letta(client: TestClient) -> None:
    """Letta finds the policy and the models in the list that it reads at start."""
    listed = client.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["scripted", "scripted-memory", SMOLLM]
    assert client.get("/health").json() == {"status": "ok"}


def test_a_chat_completion_carries_text_and_usage(client: TestClient) -> None:
    """A conversation without tools gets a text, and the tokens that the model counted."""
    answer = chat(client).json()
    assert answer["choices"][0]["message"]["content"] == "hello"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 1
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}


def test_an_offered_tool_is_called(client: TestClient, orchestrator: FakeModel) -> None:
    """What the model answered in its own format comes out as a tool call, numbered in its conversation."""
    orchestrator.text = '{"tool": "run_claude_coder", "arguments": {"spec": "x"}}'
    choice = chat(client, tools=[TOOL]).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    call = choice["message"]["tool_calls"][0]
    assert (call["id"], call["function"]["name"]) == ("call_1", "run_claude_coder")
    assert json.loads(call["function"]["arguments"]) == {"spec": "x"}


@pytest.mark.parametrize(
    ("choice", "answers"),
    [
        ("auto", 2),
        ("required", 1),
        ({"type": "function", "function": {"name": "run_claude_coder"}}, 1),
        ("none", 0),
    ],
)
def test_tool_choice_decides_what_the_model_may_answer(
    client: TestClient, orchestrator: FakeModel, choice: Any, answers: int
) -> None:
    """Auto leaves tool and text, required and a named tool leave only the tool, none leaves free text."""
    chat(client, tools=[TOOL], tool_choice=choice)
    schema = orchestrator.asked[0][2]
    assert (len(schema["anyOf"]) if schema else 0) == answers


def test_sampling_fields_reach_the_model(client: TestClient, orchestrator: FakeModel) -> None:
    """Temperature, seed and the token limit are honoured; the default is greedy, and no seed."""
    chat(client, temperature=0.5, seed=7, max_completion_tokens=3)
    chat(client)
    first, second = (sampling for _, sampling, _ in orchestrator.asked)
    assert (first.temperature, first.seed, first.max_tokens) == (0.5, 7, 3)
    assert (second.temperature, second.seed) == (0.0, None)


def test_the_scripted_model_works_without_a_language_model(
    client: TestClient, orchestrator: FakeModel
) -> None:
    """Its calls come from the policy, cost no tokens, and never touch the language model."""
    answer = chat(client, TASK, model="scripted", tools=[TOOL]).json()
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "run_claude_coder"
    assert answer["usage"]["total_tokens"] == 0
    assert orchestrator.asked == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "gpt"}, 404, "model_not_found"),
        ({"messages": []}, 400, None),
        ({"stream": True}, 400, None),
        ({"tool_choice": "maybe", "tools": [TOOL]}, 400, None),
        ({"messages": [{"role": "user", "content": "x " * 200}]}, 400, "context_length_exceeded"),
    ],
)
def test_openai_errors_have_openai_s_shape(
    client: TestClient, fields: Any, status: int, code: str | None
) -> None:
    """Each kind of bad request gets the status and the error body that an OpenAI client expects."""
    answer = chat(client, **fields)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_message_has_anthropic_s_shape(client: TestClient) -> None:
    """The answer has one text block, a stop reason and usage without caching."""
    answer = message(client).json()
    assert answer["content"] == [{"type": "text", "text": "hello"}]
    assert (answer["type"], answer["role"], answer["stop_reason"]) == ("message", "assistant", "end_turn")
    assert answer["usage"] == {
        "input_tokens": 1,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    }


def test_a_cut_off_message_says_so(client: TestClient, coder: FakeModel) -> None:
    """An answer that reached max_tokens has the stop reason max_tokens."""
    coder.text = "one two three"
    answer = message(client, max_tokens=2).json()
    assert (answer["stop_reason"], answer["content"][0]["text"]) == ("max_tokens", "one two")


def test_system_and_content_may_be_blocks(client: TestClient, coder: FakeModel) -> None:
    """Text blocks reach the model as the same text that a string would."""
    message(client, [{"type": "text", "text": "Hi"}], system=[{"type": "text", "text": "Be good."}])
    message(client, "Hi", system="Be good.")
    assert coder.asked[0] == coder.asked[1]


def test_the_same_request_gets_the_same_bytes(client: TestClient) -> None:
    """Ids are made from the request, so a repeated request has an identical answer and request id."""
    first, second = message(client), message(client)
    assert (first.content, first.headers["request-id"]) == (second.content, second.headers["request-id"])
    assert message(client, "Other").json()["id"] != first.json()["id"]


def streamed(answer: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
    values = [json.loads(data.removeprefix("data: ")) for _, data in events]
    assert [kind.removeprefix("event: ") for kind, _ in events] == [value["type"] for value in values]
    return values


def test_a_streamed_answer_says_what_a_whole_one_says(client: TestClient) -> None:
    """Text, tokens and the reason to stop arrive in the events that Anthropic's clients expect."""
    whole, events = message(client).json(), streamed(message(client, stream=True))
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[2]["delta"] == {"type": "text_delta", "text": whole["content"][0]["text"]}
    assert events[0]["message"]["usage"]["input_tokens"] == whole["usage"]["input_tokens"]
    assert events[4]["delta"]["stop_reason"] == whole["stop_reason"]
    assert events[4]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


WRITE = {"name": "Write", "input_schema": {"type": "object"}}
FILE = "Add.\n\nWrite the file add.py."


def agent(client: TestClient, *messages: dict[str, Any], **fields: Any) -> Any:
    """A request as a coding agent makes it: system blocks of its own, notes between the messages, tools."""
    system = [{"type": "text", "text": "agent 1.2"}, {"type": "text", "text": "You write."}]
    note = {"role": "system", "content": [{"type": "text", "text": "# Environment"}]}
    asked = [{"role": "user", "content": FILE}, note, *messages]
    return message(client, system=system, messages=asked, tools=[{"name": "Read"}, WRITE], **fields)


def test_code_goes_through_the_write_tool(client: TestClient, coder: FakeModel) -> None:
    """The model hears only its user's words; what it writes becomes a call with the name asked for."""
    coder.text = "```python\nX = 1\n```"
    answer = agent(client).json()
    assert answer["stop_reason"] == "tool_use"
    assert [(b["name"], b["input"]) for b in answer["content"]] == [
        ("Write", {"file_path": "add.py", "content": "X = 1\n"})
    ]
    assert [(m.role, m.text) for m in coder.asked[0][0]] == [("system", "You write."), ("user", FILE)]
    events = streamed(agent(client, stream=True))
    assert events[1]["content_block"]["input"] == {}
    assert json.loads(events[2]["delta"]["partial_json"]) == answer["content"][0]["input"]


def test_an_answer_without_code_stays_a_text(client: TestClient, coder: FakeModel) -> None:
    """There is nothing to write."""
    coder.text = "I do not know."
    answer = agent(client).json()
    assert (answer["stop_reason"], answer["content"]) == ("end_turn", [{"type": "text", "text": coder.text}])


@pytest.mark.parametrize(("failed", "text"), [(False, "It is written."), (True, "It could not be written.")])
def test_after_the_result_the_turn_ends(
    client: TestClient, coder: FakeModel, *, failed: bool, text: str
) -> None:
    """The policy speaks, not the model: no tokens."""
    coder.text = "```python\nX = 1\n```"
    call = agent(client).json()["content"]
    result = {"type": "tool_result", "tool_use_id": call[0]["id"], "content": "ok", "is_error": failed}
    answer = agent(
        client, {"role": "assistant", "content": call}, {"role": "user", "content": [result]}
    ).json()
    assert (answer["stop_reason"], answer["content"][0]["text"]) == ("end_turn", text)
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (0, 0)
    assert len(coder.asked) == 1


@pytest.mark.parametrize("headers", [{"x-api-key": "k"}, {"Authorization": "Bearer k"}, {}])
def test_any_key_in_either_header_is_accepted(client: TestClient, headers: dict[str, str]) -> None:
    """Both generations of the Anthropic SDK get in."""
    client.headers.update(headers)
    assert message(client).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "kind", "text"),
    [
        ({"model": "claude"}, 404, "not_found_error", "model: claude"),
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens"),
        ({"tools": {"name": "Write"}}, 400, "invalid_request_error", "tools"),
        ({"tools": [{}]}, 400, "invalid_request_error", "tools"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "invalid_request_error", "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            400,
            "invalid_request_error",
            "messages.0.content.0: Input tag 'image'",
        ),
        (
            {"messages": [{"role": "user", "content": "x " * 200}]},
            400,
            "invalid_request_error",
            "200 tokens > 99 maximum",
        ),
    ],
)
def test_anthropic_errors_have_anthropic_s_shape(
    client: TestClient, fields: Any, status: int, kind: str, text: str
) -> None:
    """Each kind of bad request gets the status, type and message that an Anthropic client expects."""
    answer = message(client, **fields)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == kind
    assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_a_body_that_is_no_json_is_refused(client: TestClient, path: str) -> None:
    """Broken JSON is the client's fault (400), not a crash of the server (500)."""
    answer = client.post(path, content=b"{broken")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_seed_reaches_the_model_of_the_anthropic_api(client: TestClient, coder: FakeModel) -> None:
    """Stand-ins for Claude are sampled with the seed that the harness sends, and always with one."""
    message(client, temperature=0.2, seed=2)
    message(client)
    assert [(each[1].temperature, each[1].seed) for each in coder.asked] == [(0.2, 2), (0.0, 0)]


@pytest.mark.parametrize("ask", [chat, message])
def test_an_engine_that_fails_is_no_fault_of_the_request(ask: Any) -> None:
    """A model that cannot be loaded is a 503 with the reason, in both APIs: retried, then an api_error."""

    def load(name: str, path: Path) -> FakeModel:
        raise EngineFailure("no memory")

    answer = ask(TestClient(build_app(Models({SMOLLM: Path("x.gguf")}, load), Providers({}, {}))))
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "no memory")
    assert answer.json()["error"]["type"] in ("api_error", "server_error")
