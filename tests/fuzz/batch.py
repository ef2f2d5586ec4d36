"""Work of a sandboxed process of the hunt: many images in sequence."""

import json
import resource
import time
import traceback
from pathlib import Path

from app.domain.errors import ImageError
from app.domain.media import SNIFF_BYTES, media_type_of
from app.domain.models import FailureCode
from app.worker.jobs import Answer, Job, Processed, matches_recipe
from app.worker.pipeline.steps import process_image
from tests.worker.leaks import find_leaks


def batch(source: Path, out: Path, job: Job) -> Processed:
    """Process each image of the folder `source` that its file `names` lists, into its own folder in `out`.

    `out/told` gets a line for each: name, outcome, detail, CPU seconds, peak memory in MB.
    """
    with (out / "told").open("w", buffering=1) as told:
        for path in (source / name for name in (source / "names").read_text().split()):  # it may not list the folder
            media_type = media_type_of(path.read_bytes()[:SNIFF_BYTES])
            folder = out / path.name
            started = time.process_time()
            outcome, detail = _outcome(path, folder, job.model_copy(update={"media_type": media_type}))
            spent = time.process_time() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            told.write(json.dumps([path.name, outcome, detail, round(spent, 3), round(peak)]) + "\n")
    raise ImageError(FailureCode.NOT_AN_IMAGE, "the batch has been worked off")


def _outcome(path: Path, folder: Path, job: Job) -> tuple[str, str]:
    try:
        made = process_image(path, folder, job)
    except ImageError as error:
        return str(error.code), error.detail
    except MemoryError:
        return "memory", ""
    except Exception:  # noqa: BLE001 - which is what is looked for
        return "raised", traceback.format_exc(limit=-5)
    try:
        Answer.model_validate_json(Answer(processed=made).model_dump_json())
        if not matches_recipe(job.recipe, made):
            return "wrong variants", repr(made)
        leaked = {variant.file: told for variant in made.variants if (told := find_leaks(folder / variant.file))}
    except Exception:  # noqa: BLE001
        return "wrong answer", traceback.format_exc(limit=-5)
    return ("leaked", repr(leaked)) if leaked else ("ready", "")
