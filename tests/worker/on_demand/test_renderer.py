"""Sizes on demand: their bytes, their source, and what the store holds after every course of events."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image as Pillow

from app.domain.errors import Full, Missing, NotRenderable, RendererBusy, Unavailable
from app.domain.images.deletion import Deletion
from app.domain.keys import original_key, variant_key
from app.domain.limits import Limits
from app.domain.models import FailureCode, FocalPoint, Format, Image, Tombstone, Visibility, utcnow
from app.domain.recipe import Fit, Recipe, VariantSpec
from app.domain.sizes.operation import Operation
from app.domain.work import Task
from app.worker.memory_budget import MemoryBudget
from tests.samples import encoded, photo
from tests.sides import Interposed
from tests.worker.on_demand.conftest import Sizes, Watched

W80 = Operation(80, None, Fit.INSIDE, Format.WEBP, 75)


def opened(data: bytes) -> Pillow.Image:
    image = Pillow.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.moto
def test_a_size_of_a_public_image_is_stored_at_the_public_place(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 401))
    size = sizes.renderer().render(image_id, W80)
    data = sizes.read(size.key)
    assert size.key == f"ondemand/{image_id}/w80-q75.webp"
    assert (size.media_type, size.bytes) == ("image/webp", len(data))
    assert size.etag == f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    assert opened(data).size == (80, 53)
    assert not list(sizes.bench.scratch.iterdir())
    assert sizes.renderer(sandbox=None).render(image_id, W80) == size, "a stored size is not rendered again"


def test_a_size_that_has_lost_its_end_is_rendered_again(sizes: Sizes) -> None:
    """As after a power failure."""
    image_id = sizes.ready(encoded("JPEG", 600, 401))
    size = sizes.renderer().render(image_id, W80)
    data = sizes.read(size.key)
    for left in (data[:-1], b""):
        sizes.bench.side.store.put(size.key, io.BytesIO(left), size=len(left), content_type="image/webp")
        assert sizes.renderer().render(image_id, W80) == size
        assert sizes.read(size.key) == data


def test_a_size_of_a_private_image_is_stored_at_the_private_place(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 60, 40), visibility=Visibility.PRIVATE)
    assert sizes.renderer().render(image_id, W80).key == f"processed/{image_id}/ondemand/w80-q75.webp"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Operation(4000, None, Fit.INSIDE, Format.JPEG, 90), ("JPEG", (600, 400))),
        (Operation(None, 50, Fit.INSIDE, Format.AVIF, 50), ("AVIF", (75, 50))),
        (Operation(100, 100, Fit.COVER, Format.PNG, 100), ("PNG", (100, 100))),
        (Operation(1000, 1000, Fit.COVER, Format.WEBP, 50), ("WEBP", (400, 400))),
    ],
)
def test_nothing_is_enlarged_in_any_format(
    sizes: Sizes, operation: Operation, expected: tuple[str, tuple[int, int]]
) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    image = opened(sizes.read(sizes.renderer().render(image_id, operation).key))
    assert (image.format, image.size) == expected


def test_a_jpeg_of_an_image_with_alpha_is_png(sizes: Sizes) -> None:
    out = io.BytesIO()
    photo(300, 200).convert("RGBA").resize((300, 200)).save(out, "PNG")
    transparent = Pillow.new("RGBA", (300, 200), (10, 20, 30, 0))
    out = io.BytesIO()
    transparent.save(out, "PNG")
    image_id = sizes.ready(out.getvalue())
    operation = Operation(100, None, Fit.INSIDE, Format.JPEG, 75)
    first = sizes.renderer().render(image_id, operation)
    assert first.media_type == "image/png"
    assert first.key.endswith("/w100-q75.jpg")
    assert opened(sizes.read(first.key)).getpixel((50, 50))[3] == 0  # type: ignore[index]
    assert sizes.renderer().render(image_id, operation) == first


def test_jpeg_xl_of_a_drawing_or_an_animation_is_the_webp(sizes: Sizes) -> None:
    jxl = replace(W80, format=Format.JXL)
    drawing = Pillow.new("RGB", (600, 400), "white")
    drawing.paste("blue", (100, 100, 300, 300))
    frames = [photo(160, 120, seed) for seed in range(2)]
    for image, body in (
        (drawing, png_of(drawing)),
        (frames[0], png_of(frames[0], save_all=True, append_images=frames[1:], duration=100)),
    ):
        image_id = sizes.ready(body)
        renderer = sizes.renderer(memory=MemoryBudget(4000))
        size, webp = (renderer.render(image_id, each) for each in (jxl, W80))
        assert size.key == f"ondemand/{image_id}/w80-q75.jxl"
        assert (size.media_type, size.etag) == ("image/webp", webp.etag), image
        assert sizes.renderer(sandbox=None).render(image_id, jxl) == size, "a stored size is not rendered again"


def png_of(image: Pillow.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def test_an_image_is_upright_in_srgb_and_without_private_metadata(sizes: Sizes) -> None:
    out, exif = io.BytesIO(), Pillow.Exif()
    exif[0x0112], exif[0x013B], exif[0x010F] = 6, "An Author", "A Camera"
    photo(600, 300).save(out, "JPEG", exif=exif)
    image_id = sizes.ready(out.getvalue())
    for width in (80, 290):  # from a variant, and from the original
        image = opened(sizes.read(sizes.renderer().render(image_id, replace(W80, width=width)).key))
        assert image.size == (width, 2 * width)
        found = image.getexif()
        assert found.get(0x013B) == "An Author"
        assert not {0x0112, 0x010F} & set(found)


def red_and_blue(width: int, height: int) -> bytes:
    """A red left half and a blue right one."""
    image = Pillow.new("RGB", (width, height), (250, 0, 0))
    image.paste((0, 0, 250), (width // 2, 0, width, height))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(("x", "channel"), [(0.05, 0), (0.95, 2)])
@pytest.mark.parametrize("form", [Format.WEBP, Format.PNG])
def test_crops_are_around_the_focal_point(sizes: Sizes, x: float, channel: int, form: Format) -> None:
    """A crop in WebP is made from a variant, one in PNG from the original."""
    image_id = sizes.ready(red_and_blue(800, 200), focal_point=FocalPoint(x=x, y=0.5))
    quality = 100 if form is Format.PNG else 75
    size = sizes.renderer().render(image_id, Operation(20, 20, Fit.COVER, form, quality))
    pixel: Any = opened(sizes.read(size.key)).convert("RGB").getpixel((10, 10))
    assert opened(sizes.read(size.key)).size == (20, 20)
    assert pixel[channel] > 200
    assert pixel[2 - channel] < 50


# ---- Source


def sources(sizes: Sizes, image_id: str, operation: Operation, **options: Any) -> list[bytes]:
    watched = Watched(sizes.sandbox)
    sizes.renderer(sandbox=watched, **options).render(image_id, operation)
    return watched.sources


def variant(sizes: Sizes, image_id: str, file: str) -> bytes:
    image = sizes.bench.image(image_id)
    public = image.placed is Visibility.PUBLIC
    return sizes.read(variant_key(image_id, image.rendering_id or "", file, public=public))


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_small_size_is_made_from_a_variant(sizes: Sizes, visibility: Visibility) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400), visibility=visibility)
    assert sources(sizes, image_id, replace(W80, width=100)) == [variant(sizes, image_id, "w200.webp")]


@pytest.mark.parametrize(
    "operation",
    [
        replace(W80, width=101),  # more than half of the variant
        replace(W80, quality=90),  # better than the variant
        Operation(50, None, Fit.INSIDE, Format.PNG, 100),  # lossless
        Operation(100, 100, Fit.COVER, Format.WEBP, 75),  # of the whole height
    ],
)
def test_other_sizes_are_made_from_the_original(sizes: Sizes, operation: Operation) -> None:
    body = encoded("JPEG", 600, 400)
    image_id = sizes.ready(body)
    assert sources(sizes, image_id, operation) == [body]


def test_variants_of_another_recipe_are_no_source(sizes: Sizes) -> None:
    body = encoded("JPEG", 600, 400)
    image_id = sizes.ready(body)
    other = Recipe(variants=(VariantSpec(name="w200", width=200, quality={Format.WEBP: 5}),))
    assert sources(sizes, image_id, W80, recipe=other) == [body]


def test_the_original_stands_for_a_variant_that_is_missing(sizes: Sizes) -> None:
    body = encoded("JPEG", 600, 400)
    image_id = sizes.ready(body)
    sizes.bench.side.store.delete_prefix(f"processed/public/{image_id}/")
    assert sources(sizes, image_id, W80) == [body]


def test_an_animation_stays_one(sizes: Sizes) -> None:
    frames = [Pillow.new("RGB", (300, 200), color) for color in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100)
    image_id = sizes.ready(out.getvalue())
    budget = MemoryBudget(4000)
    image = opened(sizes.read(sizes.renderer(memory=budget).render(image_id, W80).key))
    assert (image.size, image.n_frames) == ((80, 53), 3)  # type: ignore[attr-defined]


def test_a_size_is_made_from_the_jpeg_of_two_equal_variants(sizes: Sizes) -> None:
    recipe = Recipe(variants=(VariantSpec(name="w200", width=200, formats=(Format.WEBP, Format.JPEG)),))
    image_id = sizes.bench.upload(encoded("JPEG", 600, 400))
    sizes.change(image_id, {"visibility": Visibility.PUBLIC})
    sizes.bench.worker(recipe=recipe).handle(image_id)
    assert sources(sizes, image_id, replace(W80, width=100), recipe=recipe) == [variant(sizes, image_id, "w200.jpg")]


# ---- Changes while a size is rendered


def changed_while_rendered(sizes: Sizes, image_id: str, change: Callable[[], object]) -> None:
    """Render while the record changes right after the size was stored. No size must be left."""
    store = Interposed(sizes.bench.side.store, after={"put": lambda *_, **__: change()})
    with pytest.raises(Missing):
        sizes.renderer(store=store).render(image_id, W80)
    assert not [key for key in sizes.bench.side.objects() if "ondemand/" in key]


@pytest.mark.parametrize(
    "changes",
    [
        {"visibility": Visibility.PRIVATE},
        {"focal_point": FocalPoint(x=0, y=0)},
        {"trashed_at": utcnow()},
        {"rendering_id": "0123456789ab"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_size_of_a_record_that_has_changed_is_removed(sizes: Sizes, changes: dict[str, Any]) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    changed_while_rendered(sizes, image_id, lambda: sizes.change(image_id, changes))
    assert Task.INVALIDATE in sizes.bench.image(image_id).work, "a CDN may have cached it"


def test_a_size_of_a_deleted_image_is_removed(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    side = sizes.bench.side
    changed_while_rendered(sizes, image_id, lambda: Deletion(side.images, side.renderings).delete("ann", image_id))
    left = side.images.get(image_id)
    assert isinstance(left, Tombstone)
    assert Task.INVALIDATE in left.work
    assert not side.objects()


def test_a_size_is_removed_if_the_record_cannot_be_read_again(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400), visibility=Visibility.PRIVATE)

    def fail(*_: object, **__: object) -> None:
        def refuse(_: str) -> Image:
            raise Unavailable("the table does not answer")

        monkeypatch.setattr(sizes.bench.side.images, "get", refuse)

    with pytest.raises(Unavailable):
        sizes.renderer(store=Interposed(sizes.bench.side.store, after={"put": fail})).render(image_id, W80)
    assert not [key for key in sizes.bench.side.objects() if "ondemand/" in key]


def test_an_edit_meanwhile_that_changes_no_size_is_no_matter(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    changes = {"title": "Another"}
    store = Interposed(sizes.bench.side.store, after={"put": lambda *_, **__: sizes.change(image_id, changes)})
    assert sizes.read(sizes.renderer(store=store).render(image_id, W80).key)


# ---- Refusals


@pytest.mark.parametrize("state", ["pending", "failed", "trashed", "unknown"])
def test_images_that_are_not_ready_are_missing(sizes: Sizes, state: str) -> None:
    bench = sizes.bench
    image_id = "0190c2f3-0000-7000-8000-000000000000"
    if state == "pending":
        image_id = bench.upload(encoded("JPEG"))
    elif state == "failed":
        image_id = bench.upload(encoded("JPEG")[:300])
        bench.worker().handle(image_id)
    elif state == "trashed":
        image_id = sizes.ready(encoded("JPEG"), trashed_at=utcnow())
    with pytest.raises(Missing):
        sizes.renderer().render(image_id, W80)


def test_an_image_whose_original_is_missing_is_not_renderable(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    sizes.bench.side.store.delete(original_key(image_id))
    with pytest.raises(NotRenderable) as caught:
        sizes.renderer().render(image_id, replace(W80, width=300))
    assert caught.value.code == FailureCode.ORIGINAL_MISSING


def test_an_image_over_the_limits_of_the_service_is_not_renderable(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    with pytest.raises(NotRenderable) as caught:
        sizes.renderer(limits=Limits(max_pixels=1000)).render(image_id, replace(W80, width=300))
    assert caught.value.code == FailureCode.TOO_MANY_PIXELS
    assert not list(sizes.bench.scratch.iterdir())


def test_a_size_leaves_the_reserve_of_the_disk_alone(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))

    def refuse(_: int) -> None:
        raise Full("no space")

    with pytest.raises(Full):
        sizes.renderer(store=Interposed(sizes.bench.side.store, before={"check_space": refuse})).render(image_id, W80)


# ---- Memory


@pytest.mark.slow
def test_a_size_gets_the_whole_bound_if_the_first_guess_is_too_little(sizes: Sizes) -> None:
    out = io.BytesIO()
    Pillow.new("I;16", (6000, 4500), 30000).save(out, "PNG")
    image_id = sizes.ready(out.getvalue())
    watched = Watched(sizes.sandbox)
    size = sizes.renderer(sandbox=watched, memory=MemoryBudget(3000)).render(image_id, replace(W80, quality=90))
    assert watched.bounds == [256, None]
    assert opened(sizes.read(size.key)).size == (80, 60)


def test_a_size_that_gets_no_memory_can_be_asked_for_again(sizes: Sizes) -> None:
    image_id = sizes.ready(encoded("JPEG", 600, 400))
    memory = MemoryBudget(500)
    with memory.first_in_line(lambda: False):
        memory.take(450, lambda: False)
    with memory.held(450), pytest.raises(RendererBusy):
        sizes.renderer(memory=memory).render(image_id, W80, lambda: True)
    assert sizes.renderer(memory=memory).render(image_id, W80).bytes
