"""The option --provider."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.local.stack.providers import context_length, key_variable, parse


def test_providers_are_names_with_addresses() -> None:
    """Sorted, so that their order on the command line is no other stack."""
    given = ["vllm=http://127.0.0.1:8000/v1", "ollama=http://127.0.0.1:11434/v1?a=b"]
    assert parse(given) == (
        ("ollama", "http://127.0.0.1:11434/v1?a=b"),
        ("vllm", "http://127.0.0.1:8000/v1"),
    )
    assert key_variable("my-vllm") == "MY_VLLM_API_KEY"


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("https://proxy/models", "https://proxy/models/v1"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai"),
    ],
)
def test_an_address_may_be_given_with_its_version_or_without(given: str, root: str) -> None:
    """Letta, its App Server and the check before either starts all ask below the same address."""
    assert parse([f"a={given}"]) == (("a", root),)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["ollama"], "expected NAME=URL"),
        (["=http://x"], "expected NAME=URL"),
        (["ollama=localhost:11434"], "expected NAME=URL"),
        (["Ol/lama=http://x"], "expected NAME=URL"),
        (["o=http://x y"], "expected NAME=URL"),
        (["local=http://x"], "is the embedded model server"),
        (["o=http://x", "o=http://y"], "stands twice"),
    ],
)
def test_what_is_none_is_refused(texts: list[str], problem: str) -> None:
    """One line, with what was expected."""
    with pytest.raises(UsageError, match=problem) as caught:
        parse(texts)
    assert caught.value.remedy


def test_a_password_in_an_address_is_not_repeated() -> None:
    """Errors end up in logs."""
    with pytest.raises(UsageError) as caught:
        parse(["O=http://user:hunter2@host/v1"])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "length"),
    [
        ({"max_model_len": 4096, "max_context_length": 8192}, 4096),
        ({"loaded_context_length": 4096, "max_context_length": 8192}, 4096),
        ({"context_length": 4096}, 4096),
        ({"max_model_len": True, "meta": {"n_ctx_train": 32768}}, 32768),
        ({"max_model_len": 0, "meta": "no object"}, None),
    ],
)
def test_the_length_of_a_model_is_what_its_server_says(model: dict[str, object], length: int | None) -> None:
    """Each server has a field of its own for it; what is no number of tokens is passed over."""
    assert context_length(model) == length
