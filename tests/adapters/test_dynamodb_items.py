"""Records as items: everything comes back as it was, and keys never meet."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.dynamodb import items, keys, pointers
from app.adapters.dynamodb.table import EXPIRES_AT, INDEX_KEY, INDEX_SORT, KEY
from app.domain.ids import new_id
from app.domain.models import (
    UPDATABLE,
    Failure,
    FailureCode,
    FocalPoint,
    Format,
    Image,
    PrivacyReport,
    Rights,
    Status,
    Tombstone,
    Variant,
    Visibility,
)
from app.domain.work import Task, Work
from tests.contract.records import FULL, an_image

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone
SIZES = st.integers(0, 10**38 - 1)
FRACTIONS = st.floats(0, 1)
WORK = st.dictionaries(
    st.sampled_from(Task), st.builds(Work, since=MOMENTS, due=MOMENTS, tries=st.integers(0, 9)), max_size=3
)
MAPS = st.dictionaries(TEXT, TEXT, max_size=4)

IMAGES = st.builds(
    Image,
    id=st.builds(new_id),
    owner=TEXT,
    status=st.sampled_from(Status),
    error=st.none() | st.builds(Failure, code=st.sampled_from(FailureCode), detail=TEXT),
    filename=st.none() | TEXT,
    content_type=TEXT,
    declared_content_type=st.none() | TEXT,
    bytes=SIZES,
    sha256=st.none() | TEXT,
    width=st.none() | SIZES,
    height=st.none() | SIZES,
    frames=st.none() | SIZES,
    has_alpha=st.none() | st.booleans(),
    uploaded_at=MOMENTS,
    processed_at=st.none() | MOMENTS,
    updated_at=MOMENTS,
    version=SIZES,
    upload_expires_at=st.none() | MOMENTS,
    arrived_at=st.none() | MOMENTS,
    taken_at=st.none() | st.datetimes() | MOMENTS,
    exif=st.dictionaries(TEXT, TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    rights=st.none() | st.builds(Rights, artist=st.none() | TEXT, copyright=st.none() | TEXT),
    privacy_report=st.none() | st.builds(PrivacyReport, gps=st.booleans(), serial=st.booleans()),
    rendering_id=st.none() | TEXT,
    recipe_id=st.none() | TEXT,
    palette=st.lists(TEXT, max_size=3),
    title=st.none() | TEXT,
    alt=st.none() | TEXT,
    tags=st.lists(TEXT, max_size=5),
    focal_point=st.none() | st.builds(FocalPoint, x=FRACTIONS, y=FRACTIONS),
    metadata=MAPS,
    variants=st.lists(
        st.builds(
            Variant, name=TEXT, format=st.sampled_from(Format), width=SIZES, height=SIZES, bytes=SIZES, file=TEXT
        ),
        max_size=3,
    ),
    visibility=st.sampled_from(Visibility),
    placed=st.sampled_from(Visibility),
    reprocess_error=st.none() | st.builds(Failure, code=st.sampled_from(FailureCode), detail=TEXT),
    superseded=st.dictionaries(TEXT, MOMENTS, max_size=3),
    work=WORK,
)


def there_and_back(item: dict[str, Any]) -> Any:
    """Through DynamoDB's typed form, as it travels."""
    return items.read_record(items.deserialize(json.loads(json.dumps(items.serialize(item)))), NOW)


@settings(UNHURRIED, max_examples=100)
@given(IMAGES)
def test_a_record_comes_back_as_it_was(image: Image) -> None:
    assert there_and_back(items.image_item(image)) == image


@settings(UNHURRIED, max_examples=50)
@given(IMAGES, IMAGES, st.sets(st.sampled_from(sorted(UPDATABLE))))
def test_single_fields_written_over_a_record_change_these_alone(old: Image, new: Image, names: set[str]) -> None:
    changes = {name: getattr(new, name) for name in names}
    item = items.image_item(old) | items.changed_fields({name: changes[name] for name in names - {items.WORK}})
    if items.WORK in names:
        removed = dict.fromkeys(old.work.keys() - new.work.keys())
        item[items.WORK] = items.change_tasks(item[items.WORK], items.changed_work(new.work | removed))
    if items.PARTITIONED & names:
        item |= items.listing_fields(old.model_copy(update=changes))
    left = {name: value for name, value in item.items() if value is not None}
    assert there_and_back(left) == old.model_copy(update=changes)


@settings(UNHURRIED, max_examples=50)
@given(IMAGES, IMAGES, st.sets(st.sampled_from(sorted(UPDATABLE - items.LISTED))))
def test_a_record_is_listed_by_the_fields_named_and_no_others(old: Image, new: Image, names: set[str]) -> None:
    changed = old.model_copy(update={name: getattr(new, name) for name in names})
    assert pointers.build_pointers(changed) == pointers.build_pointers(old)


def test_each_of_those_fields_does_change_the_lists() -> None:
    ready = an_image(status=Status.READY)
    for name in items.LISTED:
        plain = ready if name != "sha256" else ready.model_copy(update={"upload_expires_at": NOW})
        assert pointers.build_pointers(plain.model_copy(update={name: FULL[name]})) != pointers.build_pointers(plain)


@settings(UNHURRIED, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["tag", "status", "type"]), TEXT, TEXT), min_size=2, unique=True))
def test_no_two_lists_share_a_partition(lists: list[tuple[str, str, str]]) -> None:
    partitions = {keys.pointer_key(*each) for each in lists} | {keys.owner_key(owner) for _, owner, _ in lists}
    assert len(partitions) == len(lists) + len({owner for _, owner, _ in lists})


@settings(UNHURRIED, max_examples=100)
@given(IMAGES)
def test_pointers_lead_to_their_image_from_keys_of_their_own(image: Image) -> None:
    built = pointers.build_pointers(image)
    assert image.id not in built
    for key, item in built.items():
        assert item[KEY] == key
        if key == keys.open_key(image.id):
            assert item[INDEX_KEY] == f"open#{image.id[-1]}"
            assert item[INDEX_SORT].endswith(f"#{image.id}")
        elif INDEX_KEY not in item:
            assert (key, item[pointers.POINTS_TO]) == (keys.expected_key(image.owner, image.sha256 or ""), image.id)
        else:
            assert item[INDEX_SORT] == image.id
            assert key.startswith(f"{item[INDEX_KEY]}#")
            assert key.endswith(f"#{image.id}")
        assert items.read_record(items.deserialize(items.serialize(item)), NOW) is None  # it is no record
    assert (keys.open_key(image.id) in built) is bool(image.work)


@settings(UNHURRIED, max_examples=200)
@given(MOMENTS, MOMENTS)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (keys.due_text(one) < keys.due_text(other)) is (one < other)
    east = timezone(timedelta(hours=14))
    assert keys.due_text(one.astimezone(east)) == keys.due_text(one)
    assert keys.due_text(one) < keys.DISTANT


def test_work_is_sorted_by_its_first_due_time_and_apart_if_all_of_it_is_distant() -> None:
    image_id = new_id()

    def sort(**hours: float) -> str:
        tasks = {Task(name): Work(since=NOW, due=NOW + timedelta(hours=each)) for name, each in hours.items()}
        item = pointers.open_item(image_id, items.changed_work(tasks).values())
        assert item is not None
        return str(item[INDEX_SORT])

    assert sort(hide=25, sweep=2) == f"2026-01-01T02:00:00.000000#{image_id}"
    assert sort(purge=26) == f"~2026-01-02T02:00:00.000000#{image_id}"
    assert sort(purge=48, sweep=26) == f"~2026-01-02T02:00:00.000000#{image_id}"
    assert sort(purge=48, sweep=24) == f"2026-01-02T00:00:00.000000#{image_id}"
    assert pointers.open_item(image_id, []) is None


@UNHURRIED
@given(st.timedeltas(timedelta(seconds=-2), timedelta(seconds=2)), st.booleans())
def test_a_tombstone_comes_back_until_its_delete_is_finished_and_it_expires(left: timedelta, finished: bool) -> None:
    work = {} if finished else {Task.PURGE: Work.add(NOW)}
    tombstone = Tombstone(id=new_id(), owner="ada", deleted_at=NOW, expires_at=NOW + left, work=work)
    item = items.tombstone_item(tombstone)
    assert there_and_back(item) == (tombstone if left > timedelta(0) or not finished else None)
    assert (EXPIRES_AT in item) is item["settled"] is finished
    for name in {EXPIRES_AT, items.GONE_AFTER} & item.keys():
        assert isinstance(item[name], int)  # DynamoDB takes nothing else for a time to live
        assert item[name] >= tombstone.expires_at.timestamp()
    assert INDEX_KEY not in item
