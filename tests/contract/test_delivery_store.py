"""Promises of `DeliveryStore`, for every adapter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.delivery.deliveries import (
    KEPT,
    SCHEDULE,
    Attempt,
    Delivery,
    DeliveryStatus,
    EndpointHealth,
    build_delivery,
)
from app.domain.delivery.endpoints import new_endpoint_id
from app.domain.delivery.events import Event, new_event_id
from app.domain.errors import Stale
from app.domain.ids import new_id
from app.domain.ports.delivery_store import DeliveryQuery, DeliveryStore
from tests.contract.races import RACERS, race

pytestmark = pytest.mark.moto

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set `NOW` to the start of the test, because the ids of events hold their time."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC))


def an_event(**fields: Any) -> Event:
    usual = {
        "id": new_event_id(), "type": "image.ready", "created_at": NOW, "owner": "ann", "image_id": new_id(),
        "body": '{"type":"image.ready","data":{"title":"Zürich \U0001f4f7"}}',
    }  # fmt: skip
    return Event.model_validate(usual | fields)


def added(store: DeliveryStore, *endpoints: str, **fields: Any) -> list[Delivery]:
    event = an_event(**fields)
    deliveries = [build_delivery(event, endpoint) for endpoint in endpoints]
    store.add(event, deliveries)
    return deliveries


def read_all(store: DeliveryStore, limit: int = 100, **filters: Any) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = store.list(DeliveryQuery(limit, after, **filters))
        assert len(page.items) <= limit
        found += [each.id for each in page.items]
        after = page.next_after
        if after is None:
            return found


def test_an_event_and_its_delivery_are_read_as_they_were_written(delivery_store: DeliveryStore) -> None:
    event = an_event()
    delivery = build_delivery(event, new_endpoint_id())
    delivery_store.add(event, [delivery])
    assert (delivery_store.get(delivery.id), delivery_store.get_event(event.id)) == (delivery, event)
    other = build_delivery(an_event(), new_endpoint_id())
    assert (delivery_store.get(other.id), delivery_store.get_event(other.event_id)) == (None, None)


def test_a_delivery_is_not_added_again(delivery_store: DeliveryStore) -> None:
    event = an_event()
    first, second = (build_delivery(event, new_endpoint_id()) for _ in range(2))
    delivery_store.add(event, [first])
    done = first.finish(DeliveryStatus.DELIVERED, NOW)
    delivery_store.replace(done)
    delivery_store.add(event, [first, second])
    assert (delivery_store.get(first.id), delivery_store.get(second.id)) == (done, second)


def test_a_change_replaces_the_version_that_it_was_made_from(delivery_store: DeliveryStore) -> None:
    (delivery,) = added(delivery_store, new_endpoint_id())
    attempt = Attempt(at=NOW, status=500, ms=12)
    changed = delivery.changed(attempts=(attempt,), failures=1, next_attempt_at=NOW + SECOND, leased_until=NOW)
    delivery_store.replace(changed)
    assert delivery_store.get(delivery.id) == changed
    for late in (delivery, delivery.changed(failures=9), build_delivery(an_event(), new_endpoint_id()).changed()):
        with pytest.raises(Stale):
            delivery_store.replace(late)
    assert delivery_store.get(delivery.id) == changed


def test_a_finished_delivery_is_due_again_when_it_is_sent_again(delivery_store: DeliveryStore) -> None:
    first, second = new_endpoint_id(), new_endpoint_id()
    one, other = added(delivery_store, first, second)
    finished = [each.finish(DeliveryStatus.DEAD, NOW) for each in (one, other)]
    for each in finished:
        delivery_store.replace(each)
    assert due(delivery_store, NOW, first) == due(delivery_store, NOW, second) == []
    again = finished[0].again(NOW)
    delivery_store.replace(again)
    with pytest.raises(Stale):
        delivery_store.replace(again.changed().again(NOW))
    assert delivery_store.get(one.id) == again
    assert due(delivery_store, NOW, first) == [one.id]
    assert due(delivery_store, NOW, second) == []


def test_of_several_leases_at_once_one_is_given(delivery_store: DeliveryStore) -> None:
    (delivery,) = added(delivery_store, new_endpoint_id())

    def lease(number: int) -> bool:
        try:
            delivery_store.replace(delivery.changed(leased_until=NOW + number * SECOND))
        except Stale:
            return False
        return True

    assert race(lease).count(True) == 1
    assert RACERS > 1


def test_lists_have_filters_and_pages(delivery_store: DeliveryStore) -> None:
    first, second = new_endpoint_id(), new_endpoint_id()
    made = [each for _ in range(5) for each in added(delivery_store, first, second)][::-1]
    made.sort(key=lambda each: each.id, reverse=True)
    for endpoint in (first, second):
        mine = [each.id for each in made if each.endpoint_id == endpoint]
        assert read_all(delivery_store, endpoint_id=endpoint) == mine
        assert read_all(delivery_store, limit=2, endpoint_id=endpoint) == mine
    delivery_store.replace(made[3].finish(DeliveryStatus.DEAD, NOW))
    dead = {"status": DeliveryStatus.DEAD, "endpoint_id": made[3].endpoint_id}
    assert read_all(delivery_store, **dead) == [made[3].id]
    one = {"endpoint_id": made[4].endpoint_id, "event_id": made[4].event_id}
    assert read_all(delivery_store, **one) == [made[4].id]
    one = {"endpoint_id": made[4].endpoint_id, "image_id": made[4].image_id}
    assert read_all(delivery_store, **one) == [made[4].id]


def test_lists_know_times(delivery_store: DeliveryStore) -> None:
    endpoint = new_endpoint_id()
    (delivery,) = added(delivery_store, endpoint)
    around = {"since": NOW - timedelta(minutes=5), "until": NOW + timedelta(minutes=5), "endpoint_id": endpoint}
    assert read_all(delivery_store, **around) == [delivery.id]
    assert read_all(delivery_store, **(around | {"since": around["until"]})) == []
    assert read_all(delivery_store, **(around | {"until": around["since"]})) == []


def test_health_has_versions_and_ends(delivery_store: DeliveryStore) -> None:
    endpoint = new_endpoint_id()
    assert delivery_store.health([endpoint]) == {}
    health = EndpointHealth(endpoint_id=endpoint).fail(NOW, None)
    delivery_store.replace_health(health)
    with pytest.raises(Stale):
        delivery_store.replace_health(health)
    worse = health.fail(NOW, SECOND)
    delivery_store.replace_health(worse)
    assert delivery_store.health([endpoint, new_endpoint_id()]) == {endpoint: worse}
    delivery_store.resume(endpoint, NOW)
    assert delivery_store.health([endpoint]) == {}
    delivery_store.replace_health(health)


def due(store: DeliveryStore, now: datetime, endpoint: str, each: int = 10) -> list[str]:
    return [found.id for found in store.due(now, each) if found.endpoint_id == endpoint]


def test_due_deliveries_come_in_the_order_of_their_times(delivery_store: DeliveryStore) -> None:
    endpoint = new_endpoint_id()
    made = [added(delivery_store, endpoint)[0] for _ in range(4)]
    assert sorted(due(delivery_store, NOW, endpoint)) == sorted(each.id for each in made)
    assert len(due(delivery_store, NOW, endpoint, each=2)) == 2
    delivery_store.replace(made[0].finish(DeliveryStatus.DELIVERED, NOW))
    delivery_store.replace(made[1].changed(next_attempt_at=NOW + 60 * SECOND))
    delivery_store.replace(made[2].changed(leased_until=NOW + 90 * SECOND))
    assert due(delivery_store, NOW, endpoint) == [made[3].id]
    assert due(delivery_store, NOW + 61 * SECOND, endpoint)[-1] == made[1].id
    assert set(due(delivery_store, NOW + 91 * SECOND, endpoint)) == {each.id for each in made[1:]}


def test_a_due_time_of_a_clock_that_was_set_back_has_come(delivery_store: DeliveryStore) -> None:
    endpoint = new_endpoint_id()
    (delivery,) = added(delivery_store, endpoint)
    delivery_store.replace(delivery.changed(next_attempt_at=NOW + 3 * SCHEDULE[-1]))
    assert due(delivery_store, NOW, endpoint) == [delivery.id]


def test_the_oldest_pending_delivery_is_that_which_waits_longest(delivery_store: DeliveryStore) -> None:
    if delivery_store.count() is None:  # it tells no figures
        assert delivery_store.oldest_pending() is None
        return
    assert delivery_store.oldest_pending() is None
    ages = [9 * SECOND, 60 * SECOND, 3600 * SECOND]
    first, second, third = (added(delivery_store, new_endpoint_id(), created_at=NOW - age)[0] for age in ages)
    assert delivery_store.oldest_pending() == third.pending_since
    delivery_store.replace(third.finish(DeliveryStatus.DELIVERED, NOW))
    assert delivery_store.oldest_pending() == second.pending_since
    delivery_store.replace(second.again(NOW))
    assert delivery_store.oldest_pending() == first.pending_since


def test_old_deliveries_are_removed(delivery_store: DeliveryStore) -> None:
    endpoint = new_endpoint_id()
    made = [added(delivery_store, endpoint)[0] for _ in range(2)]
    delivery_store.replace(made[0].finish(DeliveryStatus.DELIVERED, NOW))
    removed = delivery_store.remove_old(NOW + KEPT - SECOND)
    assert removed == 0
    if delivery_store.remove_old(NOW + KEPT + SECOND):
        assert delivery_store.get(made[0].id) is None
        assert delivery_store.get_event(made[0].event_id) is None
    assert delivery_store.get(made[1].id) == made[1]
    assert delivery_store.get_event(made[1].event_id) is not None
