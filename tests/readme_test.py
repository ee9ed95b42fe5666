"""The README's figures are those of the shipped recordings."""

from __future__ import annotations

from pathlib import Path

from harness import layout, reports, table
from harness.layout import Tables
from harness.run import Setup, run_trial
from harness.suite import Selection, Suite

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- table -->\n", "<!-- /table -->\n"


def test_the_table_in_the_readme_is_what_a_replay_gives(sandbox) -> None:
    """The README shows what `make benchmarks` leaves in `reports/latest/pairs.md`."""
    suite = Suite(ROOT / "benchmarks", ROOT, Selection(), {})
    trials = [trial for path in suite.files() for trial in suite.trials(path)]
    rows = [run_trial(trial, Setup(ROOT, sandbox)).record.row() for trial in trials]
    prices = reports.load_prices(ROOT / "benchmarks", "benchmarks/prices.yaml")
    trials_table = table.frame(rows)
    pairs = table.rows_of(table.by_pair(trials_table, prices))
    tables = Tables(pairs, table.rows_of(table.by_tester(trials_table)), reports.note(rows, pairs))
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert shown.strip() == layout.markdown(tables).strip()
