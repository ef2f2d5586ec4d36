"""SSIMULACRA2 of files against their references. Runs in the environment of the peers, two at a time.

Reads a line of JSON for each comparison, `[reference, file]`, and prints one score per line, in the same order.
"""

import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image
from ssimulacra2 import compute_ssimulacra2


def score(pair: tuple[str, str]) -> float:
    """Compare a file with its reference, which may be lower by one pixel but has the same width."""
    reference, file = pair
    with tempfile.TemporaryDirectory() as folder:
        seen, wanted = Path(folder, "seen.png"), Path(folder, "wanted.png")
        with Image.open(file) as image, Image.open(reference) as model:
            box = (0, 0, model.width, min(image.height, model.height))
            image.convert("RGB").crop(box).save(seen, compress_level=1)
            model.convert("RGB").crop(box).save(wanted, compress_level=1)
        return float(compute_ssimulacra2(str(wanted), str(seen)))


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        for value in pool.map(score, [json.loads(line) for line in sys.stdin]):
            print(f"{value:.2f}", flush=True)
