"""harness/redact/allowed.py: the repository's list of what is no secret, each entry with its reason."""

import pytest

from harness import redact
from harness.errors import UsageError
from harness.redact import allowed

KEY = "ghp_" + "aB3" * 12


def listed(folder, text):
    (folder / allowed.NAME).write_text(text)
    return allowed.load(folder)


def test_an_entry_allows_what_was_found_by_hash_or_pattern(tmp_path):
    """That text alone: another key of the same kind is still found."""
    by_hash = listed(
        tmp_path, allowed.entries({allowed.digest(KEY): "$.a: a key"}, 'of "our" fake\\server ü🙂')
    )
    by_pattern = listed(tmp_path, '[[allow]]\npattern = "ghp_(aB3)+"\nreason = "our fake"\n')
    for known in (by_hash, by_pattern):
        assert list(redact.leaks({"a": KEY}, {}, known)) == []
        assert len(list(redact.leaks({"a": f"{KEY} {KEY[::-1]} ghp_{'c4D' * 12}"}, {}, known))) == 1


def test_without_a_list_nothing_is_allowed(tmp_path):
    """A repository need not have one."""
    assert allowed.load(tmp_path) is allowed.NOTHING


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[allow", "cannot be read"),
        ("a = 1", "expected [[allow]] entries"),
        ("allow = 1", "expected [[allow]] entries"),
        ("allow = [1]", "entry 1: expected texts"),
        ('[[allow]]\npattern = "a"\n', "entry 1: reason: expected why"),
        ('[[allow]]\nreason = "a"\n', "either sha256 or pattern"),
        (f'[[allow]]\nreason = "a"\npattern = "b"\nsha256 = "{"0" * 64}"\n', "either sha256 or pattern"),
        ('[[allow]]\nreason = "a"\nsha256 = "00"\n', "sha256: expected 64 hexadecimal digits"),
        ('[[allow]]\nreason = "a"\npattern = "("\n', "pattern: no regular expression"),
        ('[[allow]]\nreason = "a"\npattern = ".*"\n', "it would allow any secret"),
        ('[[allow]]\nreason = "a"\npattern = "[\\\\w-]+"\n', "it would allow any secret"),
        ('[[allow]]\nreason = "a"\npatern = "b"\n', "unknown field 'patern'"),
        ('[[allow]]\nreason = 1\npattern = "b"\n', "entry 1: expected texts"),
    ],
)
def test_a_wrong_entry_is_an_error_and_allows_nothing(tmp_path, text, said):
    """One line that names the file and the entry; also for a pattern that would let everything through."""
    with pytest.raises(UsageError) as error:
        listed(tmp_path, text)
    assert str(tmp_path / allowed.NAME) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
