"""Merge patches of records, and one change of many records."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import Invalid
from app.domain.images.patch import BULK_FIELDS, FIELDS, BulkPatch, Patch
from app.domain.models import FocalPoint, Image, Visibility
from app.domain.uploads.field_values import METADATA_BYTES, METADATA_KEYS, TAGS
from tests.contract.records import an_image

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FULL: dict[str, Any] = {
    "title": "Title",
    "alt": "Alt",
    "tags": ["a", "b"],
    "metadata": {"album": "7", "mood": "calm"},
    "focal_point": FocalPoint(x=0.25, y=0.5),
    "visibility": Visibility.PUBLIC,
    "filename": "a.jpg",
}


def record(**fields: Any) -> Image:
    return an_image(**{"filename": None, **fields})


def changes(image: Image, **members: Any) -> dict[str, Any]:
    return Patch.parse(members).apply(image)


def refused(image: Image, members: dict[str, Any], kind: type[Patch | BulkPatch] = Patch) -> Invalid:
    with pytest.raises(Invalid) as caught:
        kind.parse(members).apply(image)
    return caught.value


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"title": "  New\nline "}, {"title": "New line"}),
        ({"alt": "e\u0301"}, {"alt": "é"}),
        ({"tags": ["x", "y,z", "x", " "]}, {"tags": ["x", "y", "z"]}),
        ({"tags": "x, y"}, {"tags": ["x", "y"]}),
        ({"metadata": {"mood": " wild "}}, {"metadata": {"album": "7", "mood": "wild"}}),
        ({"metadata": {"new": ""}}, {"metadata": {"album": "7", "mood": "calm", "new": ""}}),
        ({"metadata": {"album": None}}, {"metadata": {"mood": "calm"}}),
        ({"metadata": {"album": None, "mood": None}}, {"metadata": {}}),
        ({"focal_point": {"x": 0.75, "y": 1}}, {"focal_point": FocalPoint(x=0.75, y=1)}),
        ({"focal_point": {"y": -0.0}}, {"focal_point": FocalPoint(x=0.25, y=0)}),
        ({"visibility": "private"}, {"visibility": Visibility.PRIVATE}),
        ({"filename": "/tmp/b\u202e.png"}, {"filename": "b.png"}),
        ({"title": None}, {"title": None}),
        ({"alt": None}, {"alt": None}),
        ({"title": " "}, {"title": None}),
        ({"tags": None}, {"tags": []}),
        ({"tags": []}, {"tags": []}),
        ({"metadata": None}, {"metadata": {}}),
        ({"focal_point": None}, {"focal_point": None}),
        ({"filename": None}, {"filename": None}),
        ({"filename": "///"}, {"filename": None}),
    ],
)
def test_members_replace_merge_and_remove_values(members: dict[str, Any], expected: dict[str, Any]) -> None:
    found = changes(record(**FULL), **members)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"title": "Title ", "alt": "Alt", "tags": "a,b", "visibility": "public", "filename": "x/a.jpg"},
        {"metadata": {}},
        {"metadata": {"album": "7", "absent": None}},
        {"focal_point": {}},
        {"focal_point": {"x": 0.25}},
    ],
)
def test_only_differing_fields_are_changes(members: dict[str, Any]) -> None:
    assert changes(record(**FULL), **members) == {}


def test_removing_what_is_absent_changes_nothing() -> None:
    assert changes(record(), **dict.fromkeys(set(FIELDS) - {"visibility"})) == {}


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"titel": "x"}, "unknown_field", None),
        ({"id": "x", "status": "ready"}, "unknown_field", None),
        ({"title": 5}, "wrong_type", "title"),
        ({"alt": ["x"]}, "wrong_type", "alt"),
        ({"title": "x" * 201}, "too_long", "title"),
        ({"alt": "x" * 1001}, "too_long", "alt"),
        ({"title": "a\0"}, "control_character", "title"),
        ({"tags": 5}, "wrong_type", "tags"),
        ({"tags": {}}, "wrong_type", "tags"),
        ({"tags": [None]}, "wrong_type", "tags"),
        ({"tags": ["x" * 65]}, "too_long", "tags"),
        ({"tags": [str(number) for number in range(TAGS + 1)]}, "too_long", "tags"),
        ({"metadata": []}, "wrong_type", "metadata"),
        ({"metadata": "{}"}, "wrong_type", "metadata"),
        ({"metadata": {"a": 5}}, "wrong_type", "metadata.a"),
        ({"metadata": {"a": {}}}, "wrong_type", "metadata.a"),
        ({"metadata": {"a": True}}, "wrong_type", "metadata.a"),
        ({"metadata": {"": "x"}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"a b": None}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"a[b]": "x"}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"é": "x"}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"a\n": "x"}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "bad_metadata_key", "metadata"),
        ({"metadata": {"a": "\x07"}}, "control_character", "metadata.a"),
        ({"metadata": {"a": "\ud800"}}, "control_character", "metadata.a"),
        ({"focal_point": [0.5, 0.5]}, "wrong_type", "focal_point"),
        ({"focal_point": {"x": 0.5, "y": 0.5, "z": 0}}, "unknown_field", None),
        ({"focal_point": {"x": "0.5"}}, "wrong_type", "focal_point.x"),
        ({"focal_point": {"x": True}}, "wrong_type", "focal_point.x"),
        ({"focal_point": {"x": 1.0000001}}, "out_of_range", "focal_point.x"),
        ({"focal_point": {"y": -0.1}}, "out_of_range", "focal_point.y"),
        ({"focal_point": {"y": float("inf")}}, "out_of_range", "focal_point.y"),
        ({"focal_point": {"y": float("nan")}}, "out_of_range", "focal_point.y"),
        ({"focal_point": {"y": 10**400}}, "out_of_range", "focal_point.y"),
        ({"focal_point": {"x": None}}, "missing_field", "focal_point.x"),
        ({"focal_point": {"x": None, "y": None}}, "missing_field", "focal_point.x"),
        ({"visibility": None}, "bad_visibility", "visibility"),
        ({"visibility": "hidden"}, "bad_visibility", "visibility"),
        ({"visibility": "PUBLIC"}, "bad_visibility", "visibility"),
        ({"visibility": ["public"]}, "bad_visibility", "visibility"),
        ({"filename": 5}, "wrong_type", "filename"),
    ],
)
def test_invalid_members_are_refused(members: dict[str, Any], code: str, field: str | None) -> None:
    error = refused(record(**FULL), members)
    assert (error.code, error.extra.get("field")) == (code, field)


def test_unknown_fields_get_the_accepted_ones() -> None:
    assert refused(record(), {"caption": "x"}).detail == f"Unknown field 'caption'. Accepted: {', '.join(FIELDS)}."
    error = refused(record(), {"title": "x", "add_tags": []}, BulkPatch)
    assert error.detail == f"Unknown field 'title'. Accepted: {', '.join(BULK_FIELDS)}."
    error = refused(record(), {"focal_point": {"left": 1}})
    assert error.detail == "Unknown field 'focal_point.left'. Accepted: focal_point.x, focal_point.y."


def test_a_coordinate_alone_needs_a_stored_focal_point() -> None:
    assert refused(record(), {"focal_point": {"x": 0.5}}).extra == {"field": "focal_point.y"}
    assert refused(record(), {"focal_point": {}}).extra == {"field": "focal_point.x"}


def test_limits_of_metadata_apply_to_the_result() -> None:
    full = record(metadata={f"k{number}": "" for number in range(METADATA_KEYS)})
    error = refused(full, {"metadata": {"more": "x"}})
    assert (error.code, error.extra["measured"], error.extra["limit"]) == ("too_long", METADATA_KEYS + 1, METADATA_KEYS)
    replaced = changes(full, metadata={"more": "x", "k0": None})
    assert len(replaced["metadata"]) == METADATA_KEYS
    # 1 + 2 × 1,023 bytes, and one byte more.
    largest = record(metadata={"k": "é" * 1023})
    assert changes(record(), metadata=largest.metadata) == {"metadata": largest.metadata}
    assert changes(largest, metadata={"j": ""}) == {"metadata": {"k": "é" * 1023, "j": ""}}
    error = refused(largest, {"metadata": {"jj": ""}})
    assert (error.extra["measured"], error.extra["limit"]) == (METADATA_BYTES + 1, METADATA_BYTES)
    assert changes(largest, metadata={"jj": "", "k": None}) == {"metadata": {"jj": ""}}


def test_raw_text_is_measured_before_it_is_normalized() -> None:
    marks = "a" + "\u0301" * 4 * METADATA_BYTES
    assert refused(record(), {"metadata": {"a": marks}}).code == "too_long"
    assert changes(record(), metadata={"a": "\u200b" * 2000 + "x"}) == {"metadata": {"a": "x"}}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"add_tags": ["c", "a"]}, {"tags": ["a", "b", "c"]}),
        ({"add_tags": "c,d"}, {"tags": ["a", "b", "c", "d"]}),
        ({"remove_tags": ["a", "zzz"]}, {"tags": ["b"]}),
        ({"remove_tags": ["a", "b"], "add_tags": ["c"]}, {"tags": ["c"]}),
        ({"remove_tags": ["a"], "add_tags": ["a"]}, {"tags": ["b", "a"]}),
        ({"remove_tags": [" e\u0301 ", "b"]}, {"tags": ["a"]}),
        ({"add_tags": ["a"]}, {}),
        ({"add_tags": []}, {}),
        ({"visibility": "private"}, {"visibility": Visibility.PRIVATE}),
        ({"visibility": "public"}, {}),
        ({"metadata": {"album": None, "x": "y"}}, {"metadata": {"mood": "calm", "x": "y"}}),
        ({"metadata": None}, {"metadata": {}}),
    ],
)
def test_a_change_of_many_images(members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert BulkPatch.parse(members).apply(record(**FULL)) == expected


def test_the_limit_of_tags_applies_to_each_image() -> None:
    change = BulkPatch.parse({"add_tags": ["new"], "remove_tags": ["0"]})
    full = [str(number) for number in range(TAGS)]
    assert change.apply(record(tags=full)) == {"tags": [*full[1:], "new"]}
    with pytest.raises(Invalid) as caught:
        change.apply(record(tags=[f"x{number}" for number in range(TAGS)]))
    assert caught.value.extra == {"field": "tags", "measured": TAGS + 1, "limit": TAGS}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "missing_field"),
        ({"add_tags": None}, "wrong_type"),
        ({"remove_tags": None}, "wrong_type"),
        ({"add_tags": [5]}, "wrong_type"),
        ({"add_tags": ["x" * 65]}, "too_long"),
        ({"add_tags": [str(number) for number in range(TAGS + 1)]}, "too_long"),
        ({"visibility": None}, "bad_visibility"),
        ({"metadata": {"a": 5}}, "wrong_type"),
        ({"tags": []}, "unknown_field"),
        ({"focal_point": None}, "unknown_field"),
    ],
)
def test_invalid_changes_of_many_images_are_refused(members: dict[str, Any], code: str) -> None:
    assert refused(record(), members, BulkPatch).code == code


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch as the pseudo code of RFC 7396 section 2 does."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "a", "a b"]), inner),
    max_leaves=6,
)


@UNHURRIED
@given(st.dictionaries(st.sampled_from([*FIELDS, *BULK_FIELDS]), JSON, max_size=3), st.sampled_from([Patch, BulkPatch]))
def test_any_json_is_applied_or_refused(members: dict[str, Any], kind: type[Patch | BulkPatch]) -> None:
    image = record(**FULL)
    try:
        found = kind.parse(members).apply(image)
    except Invalid:
        return
    changed = Image.model_validate(image.model_dump() | found)
    assert kind.parse(members).apply(changed) == {}


WORD = st.text("abc", min_size=1, max_size=2)
COORDINATE = st.sampled_from([0.0, 0.25, 1.0])
POINT = st.fixed_dictionaries({"x": COORDINATE, "y": COORDINATE})
TEXT = st.none() | WORD
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXT,
        "alt": TEXT,
        "tags": st.none() | st.lists(WORD, unique=True, max_size=3),
        "metadata": st.none() | st.dictionaries(WORD, TEXT, max_size=3),
        "focal_point": st.none() | POINT | st.fixed_dictionaries({"x": COORDINATE}),
        "visibility": st.sampled_from(["private", "public"]),
        "filename": TEXT,
    },
)


def document(image: Image) -> dict[str, Any]:
    """Return the editable fields of a record as JSON. Absent values have no member."""
    fields = json.loads(image.model_dump_json(include=set(FIELDS)))
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


@UNHURRIED
@given(VALUES, VALUES)
def test_a_patch_has_the_result_that_rfc_7396_defines(first: dict[str, Any], second: dict[str, Any]) -> None:
    image = record(focal_point=FocalPoint(x=0.5, y=0.5))
    for members in (first, second):
        if image.focal_point is None and set(members.get("focal_point") or {}) == {"x"}:
            assert refused(image, members).code == "missing_field"
            return
        expected = merge(document(image), members)
        image = image.model_copy(update=Patch.parse(members).apply(image))
        assert document(image) == {name: value for name, value in expected.items() if value not in ([], {})}
