"""Records of a large gallery, with variants on the disk: files of some shapes, each stored once and linked."""

import base64
import hashlib
import io
import os
import random
from datetime import datetime, timedelta
from pathlib import Path

from PIL import Image as Picture

from app.adapters.sqlite import Database
from app.adapters.sqlite.images import insert
from app.domain.ids import first_id_at
from app.domain.models import ANONYMOUS, Format, Image, Status, Variant, Visibility, utcnow
from app.worker.analysis.thumbhash import thumbhash

SHAPES = ((1600, 1067), (1067, 1600), (1600, 1200), (1600, 1600), (2400, 1000), (900, 1600))
_PICTURES = 24
_WIDTHS = (320, 640)
_RENDERING = "ab12cd34"
_A_DAY = 250


def seed_gallery(data: Path, count: int, *, with_variants: bool = True) -> list[str]:
    """Store `count` images for a server with this data folder. Returns their ids, newest first.

    Every day has 250 images. One image in a hundred is private, one in ten is tagged `sea`. Without variants, the page
    shows the placeholders.
    """
    dice = random.Random(1)
    pictures = [_make_picture(data / "pictures", number, dice) for number in range(_PICTURES)]
    now = utcnow()
    made = [
        _make_record(now - timedelta(seconds=86400 / _A_DAY * at), at, pictures[at % _PICTURES], dice)
        for at in range(count)
    ]
    if not with_variants:
        made = [image.model_copy(update={"variants": []}) for image in made]
    database = Database(data / "darkroom.db")
    for start in range(0, count, 1000):
        with database.writing() as connection:
            for image in made[start : start + 1000]:
                insert(connection, image)
    database.close()
    for at, image in enumerate(made):
        _link(data, image, at % _PICTURES)
    return [image.id for image in made]


def _make_picture(folder: Path, number: int, dice: random.Random) -> Image:
    """Write a file in both widths, and return a record of it."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SHAPES[number % len(SHAPES)]
    small = Picture.frombytes("RGB", (4, 3), dice.randbytes(36))
    variants = []
    for wanted in _WIDTHS:
        picture = small.resize((wanted, round(wanted * height / width)), Picture.Resampling.BICUBIC)
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=80)
        name = f"w{wanted}"
        (folder / f"{number}-{name}.webp").write_bytes(out.getvalue())
        variants.append(
            Variant(
                name=name,
                format=Format.WEBP,
                width=picture.width,
                height=picture.height,
                bytes=len(out.getvalue()),
                file=f"{name}.webp",
            )
        )
    tiny = small.resize((48, 48), Picture.Resampling.BICUBIC).convert("RGBA")
    now = utcnow()
    return Image(
        id="",
        owner=ANONYMOUS,
        status=Status.READY,
        content_type="image/jpeg",
        bytes=2_400_000,
        width=width,
        height=height,
        uploaded_at=now,
        updated_at=now,
        processed_at=now,
        thumbhash=base64.b64encode(thumbhash(48, 48, tiny.tobytes())).decode(),
        dominant_color="#{:02x}{:02x}{:02x}".format(*small.resize((1, 1)).tobytes()),
        rendering_id=_RENDERING,
        variants=variants,
    )


def _make_record(moment: datetime, at: int, picture: Image, dice: random.Random) -> Image:
    image_id = first_id_at(moment)
    visibility = Visibility.PRIVATE if at % 100 == 99 else Visibility.PUBLIC
    return picture.model_copy(
        update={
            "id": image_id,
            "filename": f"IMG_{at:05}.jpg",
            "sha256": hashlib.sha256(image_id.encode()).hexdigest(),
            "uploaded_at": moment,
            "processed_at": moment,
            "updated_at": moment,
            "exif": {"Make": "Camera", "Model": "Model 7", "FNumber": 2.8, "ISOSpeedRatings": 100},
            "tags": ["sea"] if dice.random() < 0.1 else [],
            "visibility": visibility,
            "placed": visibility,
        }
    )


def _link(data: Path, image: Image, picture: int) -> None:
    """Link the variants of an image to the files that it shares with others."""
    top = "processed/public" if image.visibility is Visibility.PUBLIC else "processed"
    folder = data / top / image.id[-2:] / image.id / _RENDERING
    folder.mkdir(parents=True, exist_ok=True)
    for variant in image.variants:
        os.link(data / "pictures" / f"{picture}-{variant.name}.webp", folder / variant.file)
