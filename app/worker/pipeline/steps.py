"""One picture, from the file as sent to the files of its variants. Runs in the picture's child process."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile

from app.domain.models import Hdr
from app.domain.phase_timer import PhaseTimer
from app.worker.analysis.attention import attention_of
from app.worker.analysis.placeholder import looks_of, nearer
from app.worker.decode.animation import may_animate, read_animation
from app.worker.decode.formats import free_decoder, let_go, load_pixels
from app.worker.decode.frames import surrounded
from app.worker.decode.heif.reader import APERTURE, shown_size
from app.worker.decode.heif.units import told_from_large_units
from app.worker.decode.jpeg import refuse_if_cut
from app.worker.jobs import Job, Processed, Rendered
from app.worker.metadata.color_profile import colors_of
from app.worker.metadata.exif import Facts, read_facts
from app.worker.pipeline.header import faults_of_the_picture, frames_of, open_checked
from app.worker.pipeline.memory_estimate import may_move
from app.worker.pipeline.out_of_memory import told_from_faults
from app.worker.render.geometry import shape_of
from app.worker.render.variants import (
    Source,
    render,
    resizer_for,
    scaled_by_decoder,
    shrink,
    shrink_planes,
    top_size,
    turned,
)
from app.worker.render.ycc import Picture, Planes, suits


@dataclass(frozen=True)
class Made:
    """What `variants_of` wrote and what it learned on the way. `top` is the picture to read its looks from."""

    width: int
    height: int
    frames: int
    facts: Facts
    hdr: Hdr | None
    top: Image.Image
    made: list[Rendered]


def process_image(source: Path, out: Path, job: Job) -> Processed:
    """Read the picture in `source`, write its variants into the empty folder `out`.

    Raises `ImageError` for what the picture is to blame for.
    """
    timer = PhaseTimer()
    with timer.phase("open"):
        image = open_checked(source, job)
    with image:
        made = variants_of(image, source, out, job, timer)
    with timer.phase("placeholder"):
        looks = looks_of(made.top)
    facts = made.facts
    return Processed(
        width=made.width,
        height=made.height,
        frames=made.frames,
        has_alpha=made.top.mode == "RGBA",
        hdr=made.hdr,
        taken_at=facts.taken_at,
        camera=facts.camera,
        exif=facts.exif,
        privacy=facts.privacy,
        thumbhash=looks.thumbhash,
        dominant_color=looks.dominant_color,
        palette=looks.palette,
        phash=looks.phash,
        variants=made.made,
        timings=timer.timings,
    )


def variants_of(image: ImageFile.ImageFile, source: Path, out: Path, job: Job, timer: PhaseTimer) -> Made:
    """Write the variants of an opened picture into `out`, and close it as soon as its pixels are not needed."""
    is_jpeg = image.format == "JPEG"
    with faults_of_the_picture(job.max_pixels, image.width * image.height):
        with timer.phase("open"):
            frames = frames_of(image)
        if not is_jpeg:  # the metadata of the others may follow the pixels, or is the decoder's to apply
            with timer.phase("decode"), told_from_large_units(image, source):
                image = load_pixels(image, source)
        stored = shown_size(image)
        with timer.phase("metadata"):
            facts = read_facts(image, source)
        width, height = turned(stored, facts.orientation)
        specs = [(spec, shape_of(spec, width, height, job.focal_point)) for spec in job.recipe.variants]
        top = top_size([shape for _, shape in specs], width, height)
        resizer = resizer_for(job)
        mode = "YCbCr" if suits(image, job.recipe, top) else None
        if is_jpeg:
            with timer.phase("decode"):
                refuse_if_cut(image, source)
        scaled = is_jpeg and scaled_by_decoder(image, top, facts.orientation, crisp=resizer.crisp, mode=mode)
        with timer.phase("decode"):
            image.load()
        colors = colors_of(image, source)
        profile = colors.profile

        def small(frame: Image.Image) -> Image.Image:
            return shrink(frame, top, facts.orientation, profile, resizer, timer, last=not moves)

        moves = may_animate(image, frames, top, job) and may_move(image, source, frames, job)
        first: Picture
        shown = _shown(image)
        if shown.mode == "YCbCr" and mode:
            first = shrink_planes(shown, top, facts.orientation, profile, resizer, timer)
        else:
            first = small(shown)
        moving = read_animation(image, source, job, small) if moves else None
    let_go(image)
    if moving:
        first = moving.frames[0]
    looked_at = first.preview() if isinstance(first, Planes) else first
    if job.focal_point is None and not all(shape.whole for _, shape in specs):
        with timer.phase("placeholder"):
            seen = attention_of(nearer(looked_at))
        specs = [(spec, shape_of(spec, width, height, seen.focus(shape, width, height))) for spec, shape in specs]
    with told_from_faults(first.width * first.height):
        made = render(Source(width, height, first, moving, scaled, facts.rights), specs, out, job, resizer, timer)
    return Made(width, height, frames, facts, colors.hdr, looked_at, made)


def _shown(image: ImageFile.ImageFile) -> Image.Image:
    """What is shown of a decoded image: all of it, a part, or more than its first frame covers. It may be closed."""
    if "frame_box" in image.info:
        whole = surrounded(image, image.info["frame_box"])
        image.close()
        return whole
    if APERTURE in image.info:
        free_decoder(image)
        part = image.crop(image.info[APERTURE])
        image.close()
        return part
    return image
