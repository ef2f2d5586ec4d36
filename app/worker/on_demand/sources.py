"""Source of a size on demand: the original, or a variant that is much larger than the size."""

from typing import NamedTuple

from app.domain.images.placement import shown_rendering
from app.domain.keys import original_key, rendering_prefix
from app.domain.models import Format, Image, Variant
from app.domain.recipe import DEFAULT_QUALITY, Fit, Recipe, VariantSpec, build_rendering_id
from app.worker.jobs import get_spec
from app.worker.render.geometry import compute_shape

#: Pixels of a variant per pixel of a size, along each side. From the default variants in WebP, a WebP of quality 75 has
#: the same bytes as from the original. Its SSIMULACRA2 is lower by 2 points at a ratio of 2, 1.5 to 2.5 at 2.6, and 0.1
#: at 4 (two photographs of 12 megapixels); at 1.3 it would be 5. From the JPEG of 1280
#: pixels, at a ratio of 2, it has 4 to 5 % more bytes than from the original, and the same SSIMULACRA2.
MIN_RATIO = 2
#: Lossy formats whose qualities can be compared with that of a size, and that are decoded fast.
_COMPARABLE = frozenset({Format.WEBP, Format.JPEG})


class SizeSource(NamedTuple):
    """Object to render a size from. `displayed` is the size of the original if the object is a variant."""

    key: str
    media_type: str
    displayed: tuple[int, int] | None = None


def original_source(image: Image) -> SizeSource:
    """Return the original."""
    return SizeSource(original_key(image.id), image.content_type)


def choose_source(image: Image, spec: VariantSpec, recipe: Recipe) -> SizeSource:
    """Return the smallest variant that is good enough for the size of `spec`, or the original.

    A variant is good enough if it shows the whole image, has at least `MIN_RATIO` pixels per pixel of the size, and has
    at least its quality. Animations and lossless sizes are made from the original, and so is every size while the
    variants are not those of the recipe and the focal point.
    """
    prefix, variant = shown_rendering(image), _find_variant(image, spec, recipe)
    if prefix is None or variant is None:
        return original_source(image)
    key = rendering_prefix(image.id, prefix) + variant.file
    return SizeSource(key, variant.format.media_type, (image.width or 0, image.height or 0))


def _find_variant(image: Image, spec: VariantSpec, recipe: Recipe) -> Variant | None:
    wanted = spec.formats[0]
    is_lossless = wanted is Format.PNG or (wanted is Format.JPEG and image.has_alpha)
    if image.frames != 1 or not image.width or not image.height or is_lossless:
        return None
    if image.rendering_id != build_rendering_id(recipe, image.focal_point):
        return None
    shape = compute_shape(spec, image.width, image.height, image.focal_point)
    # Of a whole image one side is exact and the other one rounded, up to 1 at least.
    scale = min(shape.size[0] / image.width, shape.size[1] / image.height) if shape.whole else shape.scale
    needed = (image.width * scale * MIN_RATIO, image.height * scale * MIN_RATIO)
    quality = spec.quality.get(wanted, DEFAULT_QUALITY[wanted])
    enough = [
        variant
        for variant in image.variants
        if variant.format in _COMPARABLE
        and get_spec(recipe, variant.name).fit is Fit.INSIDE
        and variant.width + 1 > needed[0]  # sides are rounded
        and variant.height + 1 > needed[1]
        and _quality(recipe, variant) >= quality
    ]
    # A JPEG is decoded in half the time.
    return min(enough, key=lambda variant: (variant.width, variant.format is not Format.JPEG), default=None)


def _quality(recipe: Recipe, variant: Variant) -> int:
    return get_spec(recipe, variant.name).quality.get(variant.format, DEFAULT_QUALITY[variant.format])
