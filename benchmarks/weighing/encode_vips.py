"""Encodes with libvips, a JSON line for each file. Runs in the environment of the peers.

The pixels are decoded before the measurement. Prints the milliseconds of CPU.
"""

import json
import resource
import sys

import pyvips


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def main() -> None:
    """Answer requests until standard input ends."""
    pyvips.cache_set_max(0)
    name, image = "", None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["image"] != name:
            name = asked["image"]
            image = pyvips.Image.new_from_file(name).copy_memory()
        assert image is not None
        before = _cpu()
        image.write_to_file(asked["out"], **asked["options"])
        print(json.dumps({"cpu": _cpu() - before}), flush=True)


if __name__ == "__main__":
    main()
