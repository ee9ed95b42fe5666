"""The catalogue of local models, and GGUF files of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.local.stack.catalogue import CATALOGUE, DEFAULT, parse_names, parse_own

TEMPLATE = b"GGUF....tokenizer.chat_template...."


def test_models_are_named_with_commas() -> None:
    """In order, each once, blanks allowed."""
    names = [
        model.name for model in parse_names("qwen2.5-coder-1.5b, smollm2-135m-instruct,qwen2.5-coder-1.5b")
    ]
    assert names == ["qwen2.5-coder-1.5b", "smollm2-135m-instruct"]
    assert parse_names("") == ()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("qwen2.5-coder-1b", "did you mean qwen2.5-coder-1.5b?"),
        ("gpt", "choose of smollm2-135m-instruct, qwen"),
    ],
)
def test_the_nearest_name_is_told(name: str, remedy: str) -> None:
    """Or all of them, where none is near."""
    with pytest.raises(UsageError, match=f"no model '{name}' in the catalogue") as caught:
        parse_names(name)
    assert remedy in caught.value.remedy


def test_every_model_has_a_source_and_a_whole_sum() -> None:
    """A sum and at least one place to fetch from; names are those of handles and files."""
    assert DEFAULT in CATALOGUE
    for model in CATALOGUE:
        assert (len(model.sha256), len(set(model.packages)) == len(model.packages) > 0) == (64, True)
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)


def test_a_file_of_the_user_s_is_served_under_its_name(tmp_path: Path) -> None:
    """If it is a GGUF with a chat template."""
    path = tmp_path / "m.gguf"
    path.write_bytes(TEMPLATE)
    assert parse_own([f"mine={path}"]) == {"mine": path}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"GGUF....", "holds no chat template"),
        (b"PK\x03\x04 tokenizer.chat_template", "is no GGUF file"),
        (b"", "is empty"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_served_is_refused_at_once(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """Before anything is started, with the file and the reason."""
    path = tmp_path / "m.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=problem) as caught:
        parse_own([f"mine={path}"])
    assert (str(path) in caught.value.message, caught.value.remedy != "") == (True, True)


@pytest.mark.parametrize(
    "argument",
    ["mine", "=m.gguf", "Mine=m.gguf", "a/b=m.gguf", "mine=", "scripted=m.gguf", f"{DEFAULT.name}=m.gguf"],
)
def test_a_name_that_cannot_be_one_is_refused(argument: str) -> None:
    """No name, one that a handle cannot hold, or one that is taken."""
    with pytest.raises(UsageError, match=r"no name and path|is taken"):
        parse_own([argument])
