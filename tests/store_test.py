"""harness/store.py: where a user's things lie."""

import pytest

from harness.errors import UsageError
from harness.store import home_folder


def test_the_home_is_a_folder(tmp_path, monkeypatch):
    """Of this user, if it is there already; else one line says what is wrong."""
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "new"))
    assert home_folder() == tmp_path / "new"
    (tmp_path / "file").touch()
    for wrong, said in ((str(tmp_path / "file"), "it is no folder"), ("~nobody-here/x", "no such user")):
        monkeypatch.setenv("HARNESS_HOME", wrong)
        with pytest.raises(UsageError, match=said):
            home_folder()
