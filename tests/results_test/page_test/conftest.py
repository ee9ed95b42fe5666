"""A run with what its models may try."""

from __future__ import annotations

import json

import pytest
from rows import a_run, a_talk, an_infra_row, many

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m"


@pytest.fixture
def run(tmp_path):
    """A run of two pairs, with an infra error, and a hostile model."""
    rows = [*many("a", 3, 4), *many("b", 1, 4), an_infra_row("b", task="t09", detail="x")]
    rows[0]["detail"] = HOSTILE
    folder = a_run(tmp_path / "r1", rows)
    talk = a_talk(HOSTILE, f"def add(a, b):\n    return {HOSTILE!r}\n")
    talk["files"][HOSTILE] = HOSTILE
    (folder / "transcripts" / "a" / "t00" / "1.json").write_text(json.dumps(talk))
    return folder
