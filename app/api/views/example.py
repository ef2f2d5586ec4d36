"""Example record of the API description: a photograph on a server with default settings."""

from typing import Any

_ID = "01a21211-8a9b-7bc8-801b-cadcca2023b7"
_FOLDER = f"/files/processed/public/{_ID}/e95af4b9e4ce"
_VARIANTS = (
    ("thumb", "webp", 256, 256, 3252, 82, f"{_FOLDER}/thumb.webp"),
    ("w320", "webp", 320, 240, 3892, 82, f"{_FOLDER}/w320.webp"),
    ("w640", "webp", 640, 480, 8396, 82, f"{_FOLDER}/w640.webp"),
    ("w1280", "webp", 1280, 960, 19142, 82, f"{_FOLDER}/w1280.webp"),
    ("w1280", "jpeg", 1280, 960, 58999, 83, f"{_FOLDER}/w1280.jpg"),
    ("w1920", "webp", 1920, 1440, 34532, 82, f"{_FOLDER}/w1920.webp"),
)

READY: dict[str, Any] = {
    "id": _ID,
    "owner": "anonymous",
    "status": "ready",
    "error": None,
    "filename": "lighthouse.jpg",
    "content_type": "image/jpeg",
    "declared_content_type": "image/jpeg",
    "source_url": None,
    "bytes": 577257,
    "sha256": "4eca3eb96ee3e63d9b116ebabbe3dfdb8b77906d28a07d6fe9caaab7f2a2a510",
    "width": 4032,
    "height": 3024,
    "frames": 1,
    "has_alpha": False,
    "hdr": "gain_map",
    "uploaded_at": "2026-11-25T09:37:49.211729Z",
    "processed_at": "2026-11-25T09:37:50.321448Z",
    "updated_at": "2026-11-25T09:37:50.321605Z",
    "version": 2,
    "taken_at": "2022-08-22T20:30:46.023000+02:00",
    "camera": "Google Pixel 4a",
    "exif": {
        "make": "Google",
        "model": "Pixel 4a",
        "lens_model": "Pixel 4a back camera 4.38mm f/1.73",
        "exposure_time": 0.0009372071228,
        "f_number": 1.7,
        "exposure_bias": 0.0,
        "focal_length": 4.4,
        "iso": 47,
        "focal_length_35mm": 27,
        "exposure_program": 2,
        "metering_mode": 2,
        "flash": 16,
        "white_balance": 0,
    },
    "rights": {"artist": None, "copyright": None},
    "privacy_report": {"gps": True, "serial": False, "owner_name": False, "comment": False, "thumbnail": False},
    "thumbhash": "IOgFJYhIf7a4N0ZWicxY2YdPDmoo",
    "dominant_color": "#42bf8a",
    "palette": ["#42bf8a", "#7f2c78", "#89707e", "#aca283", "#a7d786"],
    "phash": "d2c3aec9e93f12c0",
    "title": "Lighthouse",
    "alt": "A lighthouse at dusk",
    "tags": ["sea", "evening"],
    "focal_point": None,
    "metadata": {},
    "visibility": "public",
    "trashed_at": None,
    "rendering_id": "e95af4b9e4ce",
    "recipe_id": "9655d0279a08",
    "variants": [
        dict(zip(("name", "format", "width", "height", "bytes", "quality", "url"), variant, strict=True))
        for variant in _VARIANTS
    ],
    "reprocess_error": None,
    "upload_expires_at": None,
    "urls_expire_at": None,
    "links": {"self": f"/images/{_ID}", "original": f"/images/{_ID}/original"},
    "embed": {
        "html": f'<picture><source type="image/webp" srcset="{_FOLDER}/w320.webp 320w, {_FOLDER}/w640.webp 640w, '
        f'{_FOLDER}/w1280.webp 1280w, {_FOLDER}/w1920.webp 1920w" sizes="(max-width: 1280px) 100vw, 1280px"><img '
        f'src="{_FOLDER}/w1280.jpg" width="1280" height="960" alt="A lighthouse at dusk" loading="lazy"></picture>',
        "markdown": f"![A lighthouse at dusk]({_FOLDER}/w1280.jpg)",
        "srcset": f"{_FOLDER}/w320.webp 320w, {_FOLDER}/w640.webp 640w, {_FOLDER}/w1280.webp 1280w, "
        f"{_FOLDER}/w1920.webp 1920w",
    },
    "duplicate": False,
    "ignored_fields": [],
}
