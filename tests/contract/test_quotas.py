"""Quotas of owners: usage and records change together."""

from typing import Any

import pytest

from app.domain.errors import AlreadyExists, HashTaken, OverQuota, PortError, Stale, Unavailable
from app.domain.images.stats import Counters
from app.domain.models import Image, utcnow
from app.domain.ports import ImageRepository
from app.domain.quota.usage import Quota, Usage
from tests.contract.races import race, winners
from tests.contract.records import OWNER, an_image, tombstone_of

pytestmark = pytest.mark.moto

MB = 1024 * 1024
UPLOADS = 32


@pytest.fixture
def counters(images: ImageRepository) -> Counters:
    found: Counters = images.counters  # type: ignore[attr-defined] # of the adapter
    return found


def within(images: ImageRepository, quota: Quota, *, claim: bool = True, **fields: Any) -> Image:
    """Create a record within a quota; return it as stored."""
    made = an_image(**fields)
    images.create(made, claim=claim, quota=quota)
    found = images.get(made.id)
    assert isinstance(found, Image)
    return found


def test_records_are_refused_above_the_quota_of_bytes(images: ImageRepository, counters: Counters) -> None:
    quota = Quota(bytes=1000)
    for size in (600, 400):
        within(images, quota, bytes=size)
    with pytest.raises(OverQuota) as over:
        within(images, quota, bytes=1)
    assert over.value.usage == Usage(1000, 2)
    within(images, quota, bytes=1000, owner="bob")
    with pytest.raises(OverQuota):
        within(images, quota, bytes=1001, owner="new")  # more than the quota, for an owner without usage
    assert [counters.get(owner).usage for owner in (OWNER, "bob", "new")] == [Usage(1000, 2), Usage(1000, 1), Usage()]


def test_records_are_refused_above_the_quota_of_images(images: ImageRepository, counters: Counters) -> None:
    quota = Quota(images=2)
    first, _ = within(images, quota), within(images, quota, upload_expires_at=utcnow())
    with pytest.raises(OverQuota) as over:
        within(images, quota)
    assert over.value.usage.images == 2
    images.remove(first.id, first.version)
    within(images, quota)
    assert counters.get(OWNER).usage.images == 2


def test_a_refusal_for_another_reason_uses_nothing(images: ImageRepository, counters: Counters) -> None:
    quota = Quota(bytes=1000, images=1)
    first = within(images, quota, bytes=1000)
    with pytest.raises(HashTaken):  # known bytes are found although the quota is used up
        within(images, quota, bytes=1000, sha256=first.sha256)
    with pytest.raises(AlreadyExists):
        within(images, Quota(), id=first.id)
    assert counters.get(OWNER).usage == Usage(1000, 1)


def test_every_way_to_remove_a_record_frees_what_it_uses_once(images: ImageRepository, counters: Counters) -> None:
    quota = Quota(bytes=1_000_000)
    kept, removed, buried, *batch = [within(images, quota, bytes=10**number) for number in range(6)]
    trashed = images.update(kept.id, kept.version, {"trashed_at": utcnow()})
    assert counters.get(OWNER).usage == Usage(111_111, 6)
    images.remove(removed.id, removed.version)
    images.delete(buried.id, buried.version, tombstone_of(buried))
    for gone in (removed, buried):
        with pytest.raises(Stale):
            images.remove(gone.id, gone.version)
    assert images.remove_all(batch) == {image.id for image in batch}
    assert images.remove_all(batch) == set()
    assert counters.get(OWNER).usage == Usage(1, 1)
    images.remove(trashed.id, trashed.version)
    assert counters.get(OWNER).usage == Usage()


@pytest.mark.slow
def test_records_without_a_quota_are_part_of_the_usage_after_a_recount(
    images: ImageRepository, counters: Counters
) -> None:
    free = [within(images, Quota(), bytes=100) for _ in range(3)]
    within(images, Quota(bytes=1000), bytes=10, upload_expires_at=utcnow())
    assert counters.recount_usage(OWNER) == counters.get(OWNER).usage == Usage(310, 4)
    assert counters.recount_usage(OWNER) == Usage(310, 4)
    with pytest.raises(OverQuota):
        within(images, Quota(bytes=400), bytes=91)
    counted = [image for image in map(images.get, (image.id for image in free)) if isinstance(image, Image)]
    assert images.remove_all(counted[:1]) == {counted[0].id}
    images.delete(counted[1].id, counted[1].version, tombstone_of(counted[1]))
    assert counters.get(OWNER).usage == Usage(110, 2)
    assert counters.recount_usage("nobody") == Usage()


def test_uploads_that_race_for_the_last_bytes_never_exceed_the_quota(
    images: ImageRepository, counters: Counters
) -> None:
    """32 uploads of 1 MB for the last 10 MB: exactly ten are stored. Busy ones try again, as clients do."""
    quota = Quota(bytes=110 * MB)
    within(images, quota, bytes=100 * MB)

    def upload(_: int) -> Image:
        while True:
            try:
                return within(images, quota, bytes=MB)
            except Unavailable:
                continue

    results = race(upload, UPLOADS)
    assert len(winners(results)) == 10
    refused = [result for result in results if isinstance(result, PortError)]
    assert len(refused) == UPLOADS - 10
    for error in refused:
        assert isinstance(error, OverQuota)
    assert counters.get(OWNER).usage == Usage(110 * MB, 11)
    stored = [result for result in results if isinstance(result, Image)]

    def remove(number: int) -> None:
        image = stored[number % 10]
        while True:
            try:
                return images.delete(image.id, image.version, tombstone_of(image))
            except Unavailable:
                continue

    deleted = race(remove, 20)  # each of them twice
    assert len(winners(deleted)) == 10
    assert counters.get(OWNER).usage == Usage(100 * MB, 1)
