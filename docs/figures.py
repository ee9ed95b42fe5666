"""Put the figures of a replay into the pages that show them (`make table`), or check that they are there.

    python docs/figures.py [--check] RUN_FOLDER

The README shows the table of pairs and the verdict, the page on the shipped figures everything.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = re.compile(r"(?<=^<!-- table -->\n).*?(?=^<!-- /table -->$)", re.DOTALL | re.MULTILINE)


def short(tables: str) -> str:
    """Return the first table, and the verdict: which pair is best, or has the highest rate, or is tied."""
    first, *others = tables.rstrip().split("\n\n")
    verdict = [block for block in others if block.startswith(("best: ", "highest: ", "tied at "))]
    return "\n\n".join([first, *verdict]) + "\n"


PAGES = {"README.md": short, "docs/explanation/shipped-figures.md": str}


def main() -> None:
    """Write the pages, or exit with 1 where one shows something else."""
    *check, folder = sys.argv[1:]
    tables = (Path(folder) / "pairs.md").read_text(encoding="utf-8")
    for name, part in PAGES.items():
        page = ROOT / name
        before = page.read_text(encoding="utf-8")
        after, places = PLACE.subn(lambda _, part=part: part(tables), before)
        if places != 1:
            sys.exit(f"{name}: {places} places between <!-- table --> and <!-- /table -->, expected 1")
        if not check:
            page.write_text(after, encoding="utf-8")
        elif before != after:
            sys.exit(f"{name}: not the figures of {folder}; `make table` writes them")


if __name__ == "__main__":
    main()
