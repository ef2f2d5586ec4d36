"""Promises of `EndpointStore`, for every adapter."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.delivery.endpoints import WebhookEndpoint, new_endpoint_id
from app.domain.errors import AlreadyExists, DarkroomError, Missing, Stale
from app.domain.ports.endpoint_store import EndpointStore
from tests.contract.races import RACERS, race

pytestmark = pytest.mark.moto

NOW = datetime(2026, 11, 29, 1, 2, 3, 456789, tzinfo=UTC)


def an_endpoint(**fields: Any) -> WebhookEndpoint:
    usual = {
        "id": new_endpoint_id(), "url": "https://hooks.example.com/darkroom?a=1", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return WebhookEndpoint.model_validate(usual | fields)


def changed(endpoint: WebhookEndpoint, **fields: Any) -> WebhookEndpoint:
    return endpoint.model_copy(update={"version": endpoint.version + 1, **fields})


def stored(store: EndpointStore, **fields: Any) -> WebhookEndpoint:
    endpoint = an_endpoint(**fields)
    store.create(endpoint)
    return endpoint


def test_an_endpoint_is_read_as_it_was_written(endpoint_store: EndpointStore) -> None:
    full = {
        "events": ("image.ready", "image.failed"), "owner": "ann", "description": "Büro · 🗄", "enabled": False,
        "generation": 3, "previous_until": NOW, "version": 7,
    }  # fmt: skip
    for endpoint in (stored(endpoint_store), stored(endpoint_store, **full)):
        assert endpoint_store.get(endpoint.id) == endpoint
    assert endpoint_store.get(new_endpoint_id()) is None


def test_an_id_is_given_once(endpoint_store: EndpointStore) -> None:
    endpoint = stored(endpoint_store)
    with pytest.raises(AlreadyExists):
        endpoint_store.create(an_endpoint(id=endpoint.id, owner="bob"))
    assert endpoint_store.get(endpoint.id) == endpoint


def test_lists_have_pages_and_the_newest_first(endpoint_store: EndpointStore) -> None:
    assert (endpoint_store.list(10), endpoint_store.all()) == ([], [])
    endpoints = [stored(endpoint_store, description=str(number)) for number in range(1, 8)][::-1]
    assert endpoint_store.list(10) == endpoint_store.all() == endpoints
    found: list[WebhookEndpoint] = []
    after = None
    while page := endpoint_store.list(3, after):
        assert len(page) <= 3
        found += page
        after = page[-1].id
    assert found == endpoints
    endpoint_store.delete(endpoints[2].id)  # a page can begin after an endpoint that is gone
    assert endpoint_store.list(3, endpoints[2].id) == endpoints[3:6]
    assert endpoint_store.all() == [*endpoints[:2], *endpoints[3:]]


def test_all_endpoints_are_more_than_a_page_of_dynamodb(endpoint_store: EndpointStore) -> None:
    endpoints = [stored(endpoint_store, url=f"https://example.com/{number:0200000}") for number in range(7)][::-1]
    assert endpoint_store.all() == endpoints


def test_a_change_replaces_the_version_that_it_was_made_from(endpoint_store: EndpointStore) -> None:
    endpoint = stored(endpoint_store)
    first, second = changed(endpoint, owner="ann"), changed(endpoint, owner="bob")
    endpoint_store.replace(first)
    with pytest.raises(Stale):
        endpoint_store.replace(second)
    assert endpoint_store.get(endpoint.id) == first
    with pytest.raises(Missing):
        endpoint_store.replace(changed(an_endpoint()))


def test_of_several_changes_at_once_one_is_made(endpoint_store: EndpointStore) -> None:
    endpoint = stored(endpoint_store)
    versions = [changed(endpoint, description=str(number)) for number in range(RACERS)]

    def replace(number: int) -> bool:
        try:
            endpoint_store.replace(versions[number])
        except Stale:
            return False
        return True

    made = [number for number, done in enumerate(race(replace)) if done]
    assert len(made) == 1
    assert endpoint_store.get(endpoint.id) == versions[made[0]]


def test_an_endpoint_is_removed_once_and_stays_so(endpoint_store: EndpointStore) -> None:
    endpoint = stored(endpoint_store)
    removed = [endpoint_store.delete(each) for each in (endpoint.id, endpoint.id, new_endpoint_id())]
    assert removed == [True, False, False]
    with pytest.raises(Missing):
        endpoint_store.replace(changed(endpoint))
    assert (endpoint_store.get(endpoint.id), endpoint_store.list(10)) == (None, [])


def test_a_removal_wins_against_changes_at_the_same_time(endpoint_store: EndpointStore) -> None:
    endpoint = stored(endpoint_store)

    def act(number: int) -> None:
        try:
            if number == 0:
                endpoint_store.delete(endpoint.id)
            endpoint_store.replace(changed(endpoint))
        except DarkroomError:
            return

    race(act)
    assert endpoint_store.get(endpoint.id) is None
