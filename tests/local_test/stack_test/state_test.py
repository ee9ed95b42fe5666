"""The state file of the started servers."""

from __future__ import annotations

from pathlib import Path

from harness.local.stack.state import LETTA, StartedServer, load, save

ENTRY = StartedServer(pid=7, created=1.5, address="8283", model_port=8284)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A saved state comes back equal, in a folder that did not exist, with nothing left beside it."""
    path = tmp_path / "new" / "state.json"
    save(path, {LETTA: ENTRY})
    assert load(path) == {LETTA: ENTRY}
    assert [item.name for item in path.parent.iterdir()] == ["state.json"]


def test_an_unreadable_state_is_empty(tmp_path: Path) -> None:
    """A missing, broken or foreign file is an empty state, so `up` and `down` still work."""
    path = tmp_path / "state.json"
    assert load(path) == {}
    for text in ("{", "[]", '{"letta": {"pid": 1}}', '{"letta": 3}'):
        path.write_text(text)
        assert load(path) == {}, text
