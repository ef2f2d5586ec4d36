"""View of a record straight from its stored fields: the JSON of `ImageView`, without validation.

Parsing, validating and writing a record with pydantic takes four times as long. Only the fields of `ImageView` go out,
and only the known fields of nested models, so internal fields of this version or a newer one stay inside.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_json, to_jsonable_python

from app.api.http.public_address import BasePath
from app.api.views.image import ImageView, VariantView, build_embed, build_links, place_variants
from app.domain.images.urls import UrlSource
from app.domain.models import Failure, FocalPoint, Format, PrivacyReport, Rights, Visibility

Fields = Mapping[str, Any]

_FORMATS = {str(form): form for form in Format}
_NESTED: Mapping[str, type[BaseModel]] = {
    "error": Failure,
    "rights": Rights,
    "privacy_report": PrivacyReport,
    "focal_point": FocalPoint,
    "reprocess_error": Failure,
}
#: Last fields of a view: computed, or those of an upload.
_COMPUTED = frozenset({"urls_expire_at", "links", "embed", "duplicate", "ignored_fields"})


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the public fields of a model with their defaults as JSON, `PydanticUndefined` for required ones."""
    shown = {name: field for name, field in model.model_fields.items() if not field.exclude}
    defaults = {name: field.get_default(call_default_factory=True) for name, field in shown.items()}
    return {
        name: value if value is PydanticUndefined else to_jsonable_python(value) for name, value in defaults.items()
    }


_IMAGE = {name: default for name, default in _defaults(ImageView).items() if name not in _COMPUTED}
_PARTS = {name: _defaults(model) for name, model in _NESTED.items()}
_VARIANT = {name: default for name, default in _defaults(VariantView).items() if name != "url"}


class StoredVariant:
    """A variant that is not validated."""

    __slots__ = ("fields", "file", "format", "height", "name", "width")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.name: str = fields["name"]
        self.file: str = fields["file"]
        self.width: int = fields["width"]
        self.height: int = fields["height"]
        self.format = _FORMATS[fields["format"]]


class StoredFields:
    """A record that is not validated. Raises `KeyError` for a record that `Image` would refuse."""

    __slots__ = ("alt", "effective_visibility", "fields", "height", "id", "placed", "rendering_id", "title", "variants",
        "version", "width")  # fmt: skip

    def __init__(self, fields: Fields) -> None:
        get = fields.get
        self.fields = fields
        self.id: str = fields["id"]
        self.version: int = get("version", 1)
        self.rendering_id: str | None = get("rendering_id")
        self.placed = Visibility(get("placed", Visibility.PRIVATE))
        trashed = get("trashed_at") is not None
        self.effective_visibility = Visibility.PRIVATE if trashed else Visibility(get("visibility", Visibility.PRIVATE))
        self.width: int | None = get("width")
        self.height: int | None = get("height")
        self.title: str | None = get("title")
        self.alt: str | None = get("alt")
        self.variants: Sequence[StoredVariant] = [StoredVariant(each) for each in get("variants", ())]


def view_json(image: StoredFields, urls: UrlSource, base: BasePath) -> bytes:
    """Return the JSON of `view`."""
    stored = image.fields
    shown = {name: stored.get(name, default) for name, default in _IMAGE.items()}
    for name, defaults in _PARTS.items():
        if shown[name] is not None:
            shown[name] = {inner: shown[name].get(inner, default) for inner, default in defaults.items()}
    placed, expires_at = place_variants(image, urls, base)
    shown["variants"] = [
        {**{name: variant.fields.get(name, default) for name, default in _VARIANT.items()}, "url": url}
        for variant, (_, url) in zip(image.variants, placed, strict=True)
    ]
    shown["urls_expire_at"] = expires_at
    shown["links"] = build_links(image.id, base)
    shown["embed"] = build_embed(image, placed, urls, base)
    shown["duplicate"] = False
    shown["ignored_fields"] = ()
    return to_json(shown)
