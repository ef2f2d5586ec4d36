"""Pipeline of one image: named steps over one state, from the file as sent to the files of its variants.

It runs in the image's child process.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Final

from PIL import Image, ImageFile

from app.domain.phase_timer import PhaseTimer
from app.worker.analysis.attention import measure_attention
from app.worker.analysis.placeholder import Looks, describe_looks, reduce_large
from app.worker.decode.animation import Animation, read_animation
from app.worker.decode.formats import load_pixels, release
from app.worker.decode.frames import place_on_canvas
from app.worker.decode.heif.reader import APERTURE
from app.worker.decode.jpeg.reader import refuse_if_cut
from app.worker.decode.pillow_private import free_decoder
from app.worker.jobs import Job, Processed, Rendered
from app.worker.metadata.color_profile import Colors, effective_colors
from app.worker.metadata.exif import Facts, read_facts
from app.worker.pipeline.header import open_checked
from app.worker.pipeline.out_of_memory import decoder_errors, memory_errors
from app.worker.pipeline.plan import Plan
from app.worker.render.geometry import Shape, compute_shape
from app.worker.render.variants import Source, make_resizer, render, room_after_decoder, scale_in_decoder, shrink


@dataclass
class State:
    """One image on its way through the pipeline. A step reads what earlier steps have set.

    `image` is the opened file, and the decoded one after `decode`. `top` is the upright sRGB image at the size from
    which all variants are made. With `scaled` the decoder of a JPEG has scaled it.
    """

    source: Path
    out: Path
    job: Job
    timer: PhaseTimer = field(default_factory=PhaseTimer)
    image: ImageFile.ImageFile = field(init=False)
    plan: Plan = field(init=False)
    scaled: bool = False
    facts: Facts = field(init=False)
    colors: Colors = field(init=False)
    top: Image.Image = field(init=False)
    animation: Animation | None = None
    shapes: Sequence[Shape] = ()
    variants: list[Rendered] = field(default_factory=list)
    looks: Looks | None = None

    @cached_property
    def reduced(self) -> Image.Image:
        """`top` at a few hundred pixels, for what is measured of the whole image."""
        return reduce_large(self.top)


Step = Callable[[State], None]


def process_image(source: Path, out: Path, job: Job) -> Processed:
    """Read the image in `source` and write its variants into the empty folder `out`.

    Raises `ImageError` for faults of the image.
    """
    return _result(run(STEPS, State(source, out, job)))


def render_variants(source: Path, out: Path, job: Job) -> Processed:
    """Do what `process_image` does, without a placeholder, colors and a perceptual hash."""
    return _result(run(VARIANT_STEPS, State(source, out, job)))


def _result(state: State) -> Processed:
    facts, looks = state.facts, state.looks
    width, height = state.plan.layout.displayed
    return Processed(
        width=width,
        height=height,
        frames=state.plan.frames,
        has_alpha=state.top.mode == "RGBA",
        hdr=state.colors.hdr,
        taken_at=facts.taken_at,
        camera=facts.camera,
        exif=facts.exif,
        rights=facts.rights,
        privacy_report=facts.privacy,
        variants=state.variants,
        timings=state.timer.timings,
        **(vars(looks) if looks else {}),
    )


def run(steps: Sequence[Step], state: State) -> State:
    """Run the steps in order. An exception gets a note with the name of the step that failed."""
    try:
        for step in steps:
            try:
                step(state)
            except Exception as error:
                error.add_note(step.__name__)
                raise
    finally:
        with suppress(AttributeError):  # it was never opened
            state.image.close()
    return state


def _reading(step: Step) -> Step:
    """Blame the image for what its decoder raises in a step."""

    @wraps(step)
    def guarded(state: State) -> None:
        with decoder_errors(state.job.max_pixels, state.plan.pixels):
            step(state)

    return guarded


def open_image(state: State) -> None:
    """Check the header and plan the processing."""
    with state.timer.phase("open"):
        state.image, state.plan = open_checked(state.source, state.job)


@_reading
def decode(state: State) -> None:
    """Decode the pixels; those of a JPEG at the smallest scale that is large enough."""
    with state.timer.phase("decode"):
        if state.image.format == "JPEG":
            refuse_if_cut(state.image, state.source)
            layout, room = state.plan.layout, room_after_decoder(state.job)
            state.scaled = scale_in_decoder(state.image, layout.top, layout.orientation, room)
        state.image = load_pixels(state.image, state.source)


@_reading
def read_metadata(state: State) -> None:
    """Read the metadata, which may follow the pixels in the file."""
    with state.timer.phase("metadata"):
        state.facts = read_facts(state.image, state.source)
    state.colors = effective_colors(state.image, state.source)


@_reading
def resize(state: State) -> None:
    """Bring the first frame, or all frames of an animation, to the size from which all variants are made."""
    layout, profile, resizer = state.plan.layout, state.colors.profile, make_resizer(state.job)

    def shrunk(frame: Image.Image) -> Image.Image:
        last = not state.plan.animated
        return shrink(frame, layout.top, layout.orientation, profile, resizer, state.timer, last=last)

    state.top = shrunk(_shown(state.image))
    if state.plan.animated:
        state.animation = read_animation(state.image, state.source, state.job, shrunk)
    if state.animation:
        state.top = state.animation.frames[0]
    release(state.image)


def place_crops(state: State) -> None:
    """Move crops to the part that attracts attention, unless the job has a focal point."""
    state.shapes = state.plan.layout.shapes
    if state.job.focal_point is not None or all(shape.whole for shape in state.shapes):
        return
    width, height = state.plan.layout.displayed
    with state.timer.phase("placeholder"):
        attention = measure_attention(state.reduced)
    state.shapes = [
        compute_shape(spec, width, height, attention.focus(shape, width, height))
        for spec, shape in zip(state.job.recipe.variants, state.shapes, strict=True)
    ]


def write_variants(state: State) -> None:
    """Write the files of all variants."""
    width, height = state.plan.layout.displayed
    source = Source(width, height, state.top, state.animation, state.scaled, state.facts.rights_block)
    specs = list(zip(state.job.recipe.variants, state.shapes, strict=True))
    with memory_errors(state.top.width * state.top.height):
        state.variants = render(source, specs, state.out, state.job, make_resizer(state.job), state.timer)


def describe(state: State) -> None:
    """Compute the placeholder, the colors and the perceptual hash."""
    with state.timer.phase("placeholder"):
        state.looks = describe_looks(state.reduced)


#: All steps that variants need, in order.
VARIANT_STEPS: Final[tuple[Step, ...]] = (open_image, decode, read_metadata, resize, place_crops, write_variants)
#: All steps, in order.
STEPS: Final[tuple[Step, ...]] = (*VARIANT_STEPS, describe)


def _shown(image: ImageFile.ImageFile) -> Image.Image:
    """Return the visible area of a decoded image, which may be larger or smaller. The image may be closed."""
    if "frame_box" in image.info:
        whole = place_on_canvas(image, image.info["frame_box"])
        image.close()
        return whole
    if APERTURE in image.info:
        free_decoder(image)
        part = image.crop(image.info[APERTURE])
        image.close()
        return part
    return image
