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
_VISIBILITIES = {str(each): each for each in Visibility}


class _Public:
    """The public fields of a model, with their defaults as JSON; `PydanticUndefined` for required ones."""

    def __init__(self, model: type[BaseModel]) -> None:
        shown = {name: field for name, field in model.model_fields.items() if not field.exclude}
        defaults = {name: field.get_default(call_default_factory=True) for name, field in shown.items()}
        self._defaults = {
            name: value if value is PydanticUndefined else to_jsonable_python(value) for name, value in defaults.items()
        }
        self._internal = model.model_fields.keys() - shown.keys()

    def select(self, stored: Fields, computed: Fields) -> dict[str, Any]:
        """Return the public fields in the order of the model: computed, stored, or with their default."""
        shown = {**self._defaults, **stored, **computed}
        for name in self._internal:
            shown.pop(name, None)
        if len(shown) > len(self._defaults):  # another version has written more fields
            return {name: shown[name] for name in self._defaults}
        return shown


_IMAGE, _VARIANT = _Public(ImageView), _Public(VariantView)
_NESTED: Mapping[str, _Public] = {
    "error": _Public(Failure),
    "rights": _Public(Rights),
    "privacy_report": _Public(PrivacyReport),
    "focal_point": _Public(FocalPoint),
    "reprocess_error": _Public(Failure),
}


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
        self.placed = _VISIBILITIES[get("placed", Visibility.PRIVATE)]
        visibility = _VISIBILITIES[get("visibility", Visibility.PRIVATE)]
        self.effective_visibility = visibility if get("trashed_at") is None else Visibility.PRIVATE
        self.width: int | None = get("width")
        self.height: int | None = get("height")
        self.title: str | None = get("title")
        self.alt: str | None = get("alt")
        self.variants: Sequence[StoredVariant] = [StoredVariant(each) for each in get("variants", ())]


def view_json(image: StoredFields, urls: UrlSource, base: BasePath) -> bytes:
    """Return the JSON of `view`."""
    stored = image.fields
    placed, expires_at = place_variants(image, urls, base)
    variants = zip(image.variants, placed, strict=True)
    computed = {
        **{name: public.select(stored[name], {}) for name, public in _NESTED.items() if stored.get(name) is not None},
        "variants": [_VARIANT.select(variant.fields, {"url": url}) for variant, (_, url) in variants],
        "urls_expire_at": expires_at,
        "links": build_links(image.id, base),
        "embed": build_embed(image, placed, urls, base),
        "duplicate": False,
        "ignored_fields": (),
    }
    return to_json(_IMAGE.select(stored, computed))
