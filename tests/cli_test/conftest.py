"""What tests of the commands share."""

import pytest
from rows import a_run, many


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs of the pairs a and b; in the second one a has got worse."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "prices.yaml").write_text("prices: {}\n")
    a_run(tmp_path / "reports" / "old", [*many("a", 20), *many("b", 4)])
    a_run(tmp_path / "reports" / "new", [*many("a", 4), *many("b", 5)])
    return tmp_path
