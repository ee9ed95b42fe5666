"""Kill live runs at random moments, resume them, and compare the result with a run that nobody killed.

    python bench/kill.py [--kills 50] [--seed 1]

The runs record 12 trials on stand-ins for Letta and Claude that count what is asked of them. A kill is
SIGINT, SIGTERM or SIGKILL of the controller or of all processes, or SIGKILL of a worker, at a seeded request.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from killing import campaign


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), wanted.kills, wanted.seed, say=lambda line: print(line, flush=True))
    print(f"{tally.kills.total()} kills in {time.monotonic() - began:.0f} s:")
    print("".join(f"  {count:3} {kind}\n" for kind, count in sorted(tally.kills.items())), end="")
    print(
        f"finished trials lost: {tally.lost}; run twice: {tally.twice}; other problems: {len(tally.problems)}"
    )
    sys.exit(1 if tally.lost or tally.twice or tally.problems else 0)


if __name__ == "__main__":
    main()
