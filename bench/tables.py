"""Records into tables: time against what pandas alone needs to read the same file; and the page's size.

    python bench/tables.py               # 1,000,000 records: 1.2 GB of disk, 6 GB of memory
    python bench/tables.py --rows 100000

Prints, in one run: reading with ``pandas.read_json``, ``harness.load``, all tables, the ratio; the page
of a run of 2,000 trials with conversations like those of the newest run in ``reports/``.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd

from harness.results import aggregate, dataframe, report
from harness.results.columns import BY
from harness.results.pricing import Prices
from harness.results.run_folder import find_run
from harness.results.tables import tables_of
from harness.tasks.loader import Price


def timed(label, action):
    """Run, print the seconds, and give both."""
    gc.collect()
    began = time.perf_counter()
    result = action()
    seconds = time.perf_counter() - began
    print(f"{label:48} {seconds:8.2f} s", flush=True)
    return seconds, result


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--run", default="latest")
    wanted = parser.parse_args()
    source = find_run(wanted.run)
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.jsonl"
        with path.open("w") as file:
            for n in range(wanted.rows):
                row = rows[n % len(rows)]
                epoch = n // len(rows) + 1
                trial = f"{row['pair']}/{row['task']}/{epoch}-{row['epoch']}"
                file.write(json.dumps({**row, "epoch": epoch, "trial": trial}) + "\n")
        print(f"{wanted.rows:,} records, {path.stat().st_size / 1e6:,.0f} MB")
        alone, read = timed("pandas.read_json(lines=True)", lambda: pd.read_json(path, lines=True))
        del read
        ours, trials = timed("harness.load", lambda: dataframe.load(path))
        models = {str(m) for role in ("orchestrator", "coder", "tester") for m in trials[role].unique()}
        free = Prices(dict.fromkeys(models, Price(input=1, output=1)))
        tabulated, _ = timed("prices and all seven tables", lambda: tabulate(trials, free))
        print(f"load and tabulate against reading alone: {(ours + tabulated) / alone:.2f}x\n")
    page(source.parent, rows)


def tabulate(trials, prices):
    """Every table that a run has."""
    with_costs = aggregate.add_costs(trials, prices)
    return [aggregate.summary(with_costs, by) for by in BY]


def page(run, rows):
    """Measure the page of 2,000 trials."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "run"
        made.mkdir()
        with (made / "trials.jsonl").open("w") as file:
            for n in range(2000):
                row = rows[n % len(rows)]
                epoch = n // len(rows) * 10 + row["epoch"]
                slug = f"{row['pair']}/{row['task']}/{epoch}"
                file.write(json.dumps({**row, "epoch": epoch, "trial": slug}) + "\n")
                (made / "transcripts" / slug).parent.mkdir(parents=True, exist_ok=True)
                old = run / "transcripts" / f"{row['trial']}.json"
                shutil.copy(old, made / "transcripts" / f"{slug}.json")
        trials = aggregate.add_costs(dataframe.load(made), Prices())
        tables = tables_of(trials)
        timed("the page of 2,000 trials", lambda: report.write_report(made, trials, tables))
        apart = sum(path.stat().st_size for path in made.glob("trials/**/*.html"))
        size = (made / "report.html").stat().st_size / 1e6
        print(f"report.html {size:.1f} MB, conversations in files of their own {apart / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
