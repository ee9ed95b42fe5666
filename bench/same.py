"""The same results however a suite is replayed: `python bench/same.py [PATH below benchmarks/]`. Minutes.

Replays a copy of the suite in one process without a run cache, then with an empty and with a warm one, with
two and four workers, each time in another order of the task files. Compares the records, the tables and the
conversations, byte by byte; ends with 1 and names what differs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
WAYS = (  # what it is called, its options
    ("cache off, -n 0", ("-n0", "--no-run-cache")),
    ("cache empty, -n 4", ("-n4",)),
    ("cache warm, -n 2", ("-n2",)),
    ("cache warm, -n 0", ("-n0",)),
    ("cache warm, -n 4", ("-n4",)),
)


def results(folder: Path, files: list[str], options: tuple[str, ...]) -> dict[str, bytes]:
    """Replay, and return what came out: records by trial, tables, conversations."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *files]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    print(f"  {next(line for line in done.stdout.splitlines() if line.startswith('test runs: '))}")
    run = folder / "reports/latest"
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    found = {f"record of {row['trial']}": json.dumps(row, sort_keys=True).encode() for row in rows}
    assert len(found) == len(rows)
    for path in [*run.glob("pairs.*"), run / "tables.json", *run.rglob("transcripts/**/*.json")]:
        found[path.relative_to(run).as_posix()] = path.read_bytes()
    return found


def main() -> int:
    path = ROOT / "benchmarks" / (sys.argv[1] if len(sys.argv) > 1 else "")
    tasks = [path] if path.is_file() else sorted(path.rglob("*.yaml"))
    files = [str(each.relative_to(ROOT)) for each in tasks if "acceptance:" in each.read_text()]
    first: dict[str, bytes] = {}
    differing: set[str] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("benchmarks", "cassettes"):
            shutil.copytree(ROOT / each, folder / each)
        (folder / "pytest.ini").write_text("[pytest]\n")
        for number, (way, options) in enumerate(WAYS):
            random.Random(number).shuffle(files)
            print(way, flush=True)
            found = results(folder, files, options)
            first = first or found
            other = {key for key in first.keys() | found.keys() if first.get(key) != found.get(key)}
            for key in sorted(other)[:10]:
                print(f"  differs from {WAYS[0][0]}: {key}")
            differing |= other
    print(f"{len(first)} records, tables and conversations: " + ("differ" if differing else "the same"))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
