"""Run one storm and print its figures."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.self_hosted import kill_storm
from tests.self_hosted.kill_storm.storm import storm


def main() -> int:
    """Return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        description=kill_storm.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        outcome = storm(Path(folder, "data"), seconds=given.seconds, seed=given.seed)
        print(outcome)
        for problem in outcome.problems:
            print(problem)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
