"""JSON that is made from stored fields is that of the view model, for every field."""

import json
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from app.api.http.public_address import BasePath
from app.api.views.image import ImageView, view
from app.api.views.stored import StoredFields, view_json
from app.api.views.view_cache import ViewCache
from app.domain.access.file_seal import FileSeal
from app.domain.images.urls import PageSizes, ServedFiles
from app.domain.models import Failure, FailureCode, Format, Hdr, Image, Status, Visibility, utcnow
from app.domain.work import Task, Work
from tests.contract.records import FULL
from tests.sides import SIGNER

NOW = utcnow()
URLS = ServedFiles(FileSeal(SIGNER, clock=NOW.timestamp))
OFFERING = ServedFiles(FileSeal(SIGNER, clock=NOW.timestamp), page_sizes=PageSizes((16, 320, 640)))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
numbers = st.integers(0, 2**40)
failures = st.builds(Failure, code=st.sampled_from(FailureCode), detail=texts).map(lambda made: made.model_dump())
flags = ("gps", "serial", "owner_name", "comment", "thumbnail")
variants = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["thumb", "w320", "w640"]),
        "format": st.sampled_from(Format),
        "width": st.integers(1, 100),
        "height": st.integers(1, 100),
        "bytes": numbers,
        "file": st.sampled_from(["w320.webp", "w 640%.jpg"]),
    },
    optional={"quality": st.none() | st.integers(1, 100)},
)
REQUIRED: dict[str, st.SearchStrategy[Any]] = {
    "id": st.just("01a21211-8a9b-7bc8-801b-cadcca2023b7"),
    "owner": st.sampled_from(["anonymous", "ann@example.org"]),
    "content_type": st.sampled_from(["image/jpeg", "image/avif"]),
    "bytes": numbers,
    "uploaded_at": times,
    "updated_at": times,
}
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "status": st.sampled_from(Status),
    "error": st.none() | failures,
    "filename": st.none() | texts,
    "declared_content_type": st.none() | texts,
    "source_url": st.none() | texts,
    "sha256": st.none() | st.just("ab" * 32),
    "width": st.none() | st.integers(1, 100),
    "height": st.none() | st.integers(1, 100),
    "frames": st.none() | numbers,
    "has_alpha": st.none() | st.booleans(),
    "hdr": st.none() | st.sampled_from(Hdr),
    "processed_at": st.none() | times,
    "version": numbers,
    "taken_at": st.none() | st.datetimes() | times,
    "camera": st.none() | texts,
    "exif": st.dictionaries(texts, texts | numbers | st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    "rights": st.none() | st.fixed_dictionaries({}, optional={"artist": texts, "copyright": st.none() | texts}),
    "privacy_report": st.none() | st.fixed_dictionaries({}, optional=dict.fromkeys(flags, st.booleans())),
    "thumbhash": st.none() | texts,
    "dominant_color": st.none() | texts,
    "palette": st.lists(texts, max_size=3),
    "phash": st.none() | texts,
    "title": st.none() | texts,
    "alt": st.none() | texts,
    "tags": st.lists(texts, max_size=3),
    "focal_point": st.none() | st.fixed_dictionaries({"x": st.floats(0, 1), "y": st.floats(0, 1)}),
    "metadata": st.dictionaries(texts, texts, max_size=3),
    "visibility": st.sampled_from(Visibility),
    "trashed_at": st.none() | times,
    "rendering_id": st.none() | st.just("e95af4b9e4ce"),
    "recipe_id": st.none() | texts,
    "variants": st.lists(variants, max_size=5),
    "reprocess_error": st.none() | failures,
    "upload_expires_at": st.none() | times,
    "arrived_at": st.none() | times,
    "placed": st.sampled_from(Visibility),
    "superseded": st.dictionaries(texts, times, max_size=2),
    "work": st.dictionaries(st.sampled_from(Task), st.builds(Work, since=times, due=times), max_size=2),
    "last_tried_at": st.none() | times,
    "charged_bytes": st.none() | st.integers(0, 10**9),
}


def base(path: str = "", origin: str | None = None) -> BasePath:
    made = BasePath(path)
    made.origin = origin
    return made


bases = st.builds(base, st.sampled_from(["", "/img"]), st.sampled_from([None, "https://a.example"]))
#: What a newer version may have added, at every level.
ADDED = {"secret": "internal"}


def test_the_records_of_these_tests_have_every_field() -> None:
    assert REQUIRED.keys() | OPTIONAL.keys() == Image.model_fields.keys()


def written(fields: dict[str, Any]) -> str:
    """The document of a record as a newer version writes it: with the fields that were set, and with more."""
    document = json.loads(Image.model_validate(fields).model_dump_json(include=set(fields)))
    nested = [document.get(name) for name in ("error", "rights", "privacy_report", "focal_point", "reprocess_error")]
    for each in [document, *filter(None, nested), *document.get("variants", ())]:
        each.update(ADDED)
    return json.dumps(document, ensure_ascii=False)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries(REQUIRED, optional=OPTIONAL), bases)
def test_json_of_stored_fields_is_that_of_the_model(fields: dict[str, Any], below: BasePath) -> None:
    document = written(fields)
    for urls in (OFFERING, URLS):
        expected = view(Image.model_validate_json(document), urls, below).model_dump_json()
        assert view_json(StoredFields(from_json(document)), urls, below).decode() == expected
    assert ADDED.keys().isdisjoint(json.loads(expected))


def test_no_internal_field_is_in_the_json() -> None:
    stored = StoredFields(json.loads(Image(**record()).model_dump_json()))
    shown = json.loads(view_json(stored, URLS, base()))
    public = {name for name, field in ImageView.model_fields.items() if not field.exclude}
    assert shown.keys() == public
    assert {"work", "placed", "superseded", "arrived_at", "last_tried_at", "charged_bytes"}.isdisjoint(shown)


def record(**fields: Any) -> dict[str, Any]:
    own = {"id": "01a21211-8a9b-7bc8-801b-cadcca2023b7", "owner": "ann", "uploaded_at": NOW, "updated_at": NOW}
    return {**FULL, **own, "status": "ready", "error": None, **fields}


class Reads:
    """A stored record that counts how often its fields are read."""

    def __init__(self, changes: dict[str, Any] | None = None, **fields: Any) -> None:
        self.times = 0
        self.write(changes, **fields)

    def write(self, changes: dict[str, Any] | None = None, **fields: Any) -> None:
        """Store another version; `changes` need not be valid."""
        document = json.loads(Image(**record(**fields)).model_dump_json())
        self.key = json.dumps(document | (changes or {}))

    def fields(self) -> dict[str, Any]:
        self.times += 1
        return dict(json.loads(self.key))

    def read(self) -> Image:
        return Image.model_validate_json(self.key)


def test_a_record_that_is_read_again_is_not_built_again() -> None:
    cache, reads = ViewCache(URLS), Reads()
    first, second = (cache.get_all([reads], base()) for _ in range(2))
    assert (first == second, reads.times) == (True, 1)
    reads.write(title="Another")
    (changed,) = cache.get_all([reads], base())
    assert (json.loads(changed.json)["title"], reads.times) == ("Another", 2)


def test_a_page_of_records_that_are_kept_and_of_others_has_its_order() -> None:
    cache, records = ViewCache(URLS), [Reads(title=str(number)) for number in range(4)]
    cache.get_all(records[1::2], base())
    found = cache.get_all(records, base())
    assert [json.loads(each.json)["title"] for each in found] == ["0", "1", "2", "3"]
    assert [each.times for each in records] == [1, 1, 1, 1]


def test_each_address_and_each_window_of_signatures_has_urls_of_its_own() -> None:
    clock = [NOW.timestamp()]
    urls = ServedFiles(FileSeal(SIGNER, 3600, clock=lambda: clock[0]))
    cache, reads = ViewCache(urls), Reads(visibility="private", placed="private")

    def shown(path: str = "") -> tuple[str, str]:
        (found,) = cache.get_all([reads], base(path))
        return json.loads(found.json)["variants"][0]["url"], found.etag

    url, tag = shown()
    assert shown("/img") == (f"/img{url}", tag)
    clock[0] += 3600
    later_url, later_tag = shown()
    assert later_url != url
    assert later_tag != tag


def test_the_cache_drops_what_was_not_used_for_longest() -> None:
    size = 2 * len(ViewCache(URLS).get_all([Reads()], base())[0].json) + 2000
    cache = ViewCache(URLS, 2 * size)
    first, second, third = (Reads(title=title) for title in ("first", "second", "third"))
    for each in (first, second, first, third, first, second):
        cache.get_all([each], base())
    assert (first.times, second.times, third.times) == (1, 2, 1)


@pytest.mark.parametrize("changes", [{"status": "new"}, {"placed": 7}, {"variants": [{"format": "jxl"}]}])
def test_a_record_that_no_view_can_show_raises_the_error_of_the_model(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ViewCache(URLS).get_all([Reads(changes)], base())
