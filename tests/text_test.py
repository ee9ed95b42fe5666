"""harness/text.py: which file names are safe, and texts cut short."""

import pytest

from harness.text import is_safe_path, shorten


@pytest.mark.parametrize(
    "name",
    ["add.py", "src/add.py", "a/b/c/d/e/f/g/h.py", "a b.py", "A-1_.txt", "_x", "Makefile", "x" * 200, "a..b"],
)
def test_a_plain_relative_name_is_safe(name):
    """Ordinary names and folders are allowed."""
    assert is_safe_path(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a.py",
        "a/../b.py",
        "a/..",
        "a/./b.py",
        "a//b.py",
        "a/",
        "/a.py",
        "//a.py",
        "~/a.py",
        "~",
        "C:a.py",
        "C:/a.py",
        "C:\\a.py",
        "a\\b.py",
        "..\\a.py",
        "a\x00.py",
        "a\n.py",
        "a.py\n",
        "a\r.py",
        "a\t.py",
        " a.py",
        ".hidden",
        "a/.hidden",
        ".git/config",
        "-rf",
        "a/-rf",
        "x" * 201,
        "/".join("abcdefghi"),
        "a\u2215b.py",
        "a\uff0fb.py",
        "\uff0e\uff0e/a.py",
        "ａ.py",
        "a\u202e.py",
        "a\u200b.py",
        "a\ud800.py",
        "é.py",
        "a:stream.py",
        "a*.py",
        "$HOME/a.py",
        "a|b",
        "file:///etc/passwd",
    ],
    ids=ascii,
)
def test_a_name_that_could_lead_elsewhere_is_not_safe(name):
    """Whatever is no plain relative name of letters, digits and a few signs is refused."""
    assert not is_safe_path(name)


@pytest.mark.parametrize("length", [0, 1, 79, 80, 81, 5000])
def test_a_shortened_text_is_never_longer_than_asked(length):
    """A text that fits is unchanged; a longer one ends in an ellipsis."""
    text = "x" * length
    short = shorten(text)
    assert len(short) == min(length, 80)
    assert short == text if length <= 80 else short.endswith("…")
