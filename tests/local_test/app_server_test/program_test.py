"""What stands in the App Server's home before it starts."""

from __future__ import annotations

from pathlib import Path

from harness.local.app_server import program


def test_a_start_removes_what_deleted_agents_have_left(tmp_path: Path) -> None:
    """The files of those that still exist stay: a trial that was killed is found by `letta list`."""
    state = tmp_path / ".letta"
    for name in ("agent-local-1", "agent-local-2"):
        (state / "lc-local-backend" / "memfs" / name).mkdir(parents=True)
        (state / "transcripts" / name).mkdir(parents=True)
    (state / "lc-local-backend" / "agents").mkdir()
    (state / "lc-local-backend" / "agents" / "x.json").write_text('{"id": "agent-local-2"}')
    program.write_home(tmp_path, 8283)
    left = {path.parent.name: path.name for path in tmp_path.rglob("agent-local-*")}
    assert left == {"memfs": "agent-local-2", "transcripts": "agent-local-2"}
    assert (
        '"base_url": "http://127.0.0.1:8283/model/v1"'
        in (state / "lc-local-backend" / "providers" / "auth.json").read_text()
    )
