"""What is remembered on disk, and how a state is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.local.stack.state import LETTA, POSTGRES, ComponentState, Remembered, StackState, load, save

ENTRY = Remembered(pid=7, created=1.5, address="8283", model_port=8284)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A saved state comes back equal, in a folder that did not exist, with nothing left beside it."""
    path = tmp_path / "new" / "state.json"
    save(path, {LETTA: ENTRY})
    assert load(path) == {LETTA: ENTRY}
    assert [item.name for item in path.parent.iterdir()] == ["state.json"]


def test_an_unreadable_state_remembers_nothing(tmp_path: Path) -> None:
    """A missing, broken or foreign file is an empty state, so `up` and `down` still work."""
    path = tmp_path / "state.json"
    assert load(path) == {}
    for text in ("{", "[]", '{"letta": {"pid": 1}}', '{"letta": 3}'):
        path.write_text(text)
        assert load(path) == {}, text


def test_what_to_do_is_shown_once_all_runs() -> None:
    """A state tells how to use the stack only when every component answers."""
    component = ComponentState(POSTGRES, 7, healthy=True, address="socket /x", log=Path("/log"), version="18")
    state = StackState((component,), "http://127.0.0.1:8283", "http://127.0.0.1:8284")
    assert "pairs with `backend: local` use it: pytest benchmarks --record=once" in state.lines()
    stopped = replace(state, components=(replace(component, pid=None, healthy=False),))
    assert stopped.lines() == ["postgres      stopped"]


def test_a_component_that_does_not_answer_is_not_running() -> None:
    """A living process that does not answer is shown as such."""
    component = ComponentState(LETTA, 7, healthy=False, address="port 1", log=Path("/log"), version="1")
    assert "not answering" in component.line()
    assert not StackState((component,), "", "").running
