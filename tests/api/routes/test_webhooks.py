"""`/webhooks` and `/deliveries`: admins create, list, change, test, rotate and delete endpoints, and send again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.delivery.backends import Webhooks
from app.domain.delivery.deliveries import Attempt, DeliveryStatus, EndpointHealth, build_delivery
from app.domain.delivery.endpoints import EndpointSecrets, new_endpoint_id
from app.domain.delivery.events import Event, new_event_id
from app.domain.models import utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.http.test_access import ADMIN, ANN, KEYRING, bearer
from tests.api.service import Service, service_on
from tests.sides import SIGNER, side_parameters

URL = "https://hooks.example.com/darkroom?token=abc"


@pytest.fixture(params=side_parameters())
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """API that requires keys."""
    with service_on(request.param, tmp_path, keyring=KEYRING) as made:
        yield made


def adapters(service: Service) -> Webhooks:
    found = service.side.webhooks
    assert found is not None
    return found


def post(service: Service, path: str = "/webhooks", body: Any = None, key: Any = ADMIN) -> httpx.Response:
    return service.client.post(path, json=body, headers=bearer(key))


def create(service: Service, **fields: Any) -> dict[str, Any]:
    answer = post(service, body={"url": URL} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"].endswith(f"/webhooks/{made['id']}")
    assert answer.headers["cache-control"] == "no-store"
    return made


def read(service: Service, path: str, **query: Any) -> dict[str, Any]:
    answer = service.client.get(path, params=query, headers=bearer(ADMIN))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def patch(service: Service, webhook_id: str, **fields: Any) -> httpx.Response:
    return service.client.patch(f"/webhooks/{webhook_id}", json=fields, headers=bearer(ADMIN))


def deliver(service: Service, endpoint_id: str, status: str = "dead", *, age: float = 0, **fields: Any) -> str:
    """Store a delivery with this status, and return its id."""
    at = utcnow() - timedelta(seconds=age)
    event = Event(
        id=new_event_id(),
        type="image.ready",
        created_at=at,
        owner="ann",
        image_id=fields.pop("image_id", None),
        body="{}",
    )
    store = adapters(service).deliveries
    delivery = build_delivery(event, endpoint_id)
    store.add(event, [delivery])
    if status != "pending":
        attempts = (Attempt(at=at, status=503, ms=87), Attempt(at=at, error="timeout", ms=15_000))
        store.replace(delivery.finish(DeliveryStatus(status), at).model_copy(update={"attempts": attempts}))
    return delivery.id


def test_an_endpoint_from_its_creation_to_its_end(service: Service) -> None:
    made = create(service, events=["image.failed", "image.ready"], owner="ann", description=" web  shop ")
    secret = made.pop("secret")
    assert made == {
        "id": made["id"], "url": URL, "events": ["image.ready", "image.failed"], "owner": "ann",
        "description": "web  shop", "enabled": True, "status": "active", "failing_since": None,
        "previous_secret_until": None, "created_at": made["created_at"], "updated_at": made["created_at"],
    }  # fmt: skip
    path = f"/webhooks/{made['id']}"
    assert read(service, path) == made
    assert read(service, "/webhooks") == {"items": [made], "next_cursor": None}
    (stored,) = adapters(service).endpoints.all()
    assert secret == EndpointSecrets(SIGNER).current(stored)
    changed = patch(service, made["id"], url="https://other.example/", events=None, owner=None, description="")
    assert changed.json() == read(service, path) == made | {
        "url": "https://other.example/", "events": ["*"], "owner": None, "description": None,
        "updated_at": changed.json()["updated_at"],
    }  # fmt: skip
    rotated = post(service, f"{path}/rotate")
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store")
    assert rotated.json()["secret"] != secret
    until = datetime.fromisoformat(rotated.json()["previous_secret_until"])
    assert timedelta(hours=23) < until - utcnow() <= timedelta(hours=24)
    for _ in range(2):
        assert service.client.delete(path, headers=bearer(ADMIN)).status_code == 204
    assert read(service, "/webhooks")["items"] == []
    for answer in (service.client.get(path, headers=bearer(ADMIN)), patch(service, made["id"], enabled=True)):
        assert_problem(answer, 404, "webhook_not_found")
    for action in ("test", "rotate"):
        assert_problem(post(service, f"{path}/{action}"), 404, "webhook_not_found")


def test_no_answer_but_those_of_creation_and_rotation_has_the_secret(service: Service) -> None:
    made = create(service)
    texts = [str(read(service, path)) for path in ("/webhooks", f"/webhooks/{made['id']}")]
    texts.append(patch(service, made["id"], description="x").text)
    assert not [text for text in texts if "whsec_" in text]


def test_lists_have_pages(service: Service) -> None:
    made = [create(service)["id"] for _ in range(5)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(service, "/webhooks", limit=2, **cursor)
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(found) == sorted(made)
    for path in ("/deliveries", "/keys"):
        assert_problem(service.client.get(path, params=cursor, headers=bearer(ADMIN)), 400, "bad_cursor")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"url": None}, "missing_field", "url"),
        ({"url": 5}, "wrong_type", "url"),
        ({"url": "http://hooks.example.com/"}, "bad_url", "url"),
        ({"url": "hooks.example.com"}, "bad_url", "url"),
        ({"url": "https://user:word@hooks.example.com/"}, "bad_url", "url"),
        ({"url": "https://10.0.0.7/"}, "refused_address", "url"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "refused_address", "url"),
        ({"url": "https://localhost/"}, "refused_address", "url"),
        ({"url": "https://a.example/" + "x" * 2048}, "too_long", "url"),
        ({"events": ["image.*"]}, "bad_events", "events"),
        ({"events": []}, "bad_events", "events"),
        ({"events": "image.ready"}, "wrong_type", "events"),
        ({"owner": "a b"}, "bad_owner", "owner"),
        ({"owner": ["ann"]}, "wrong_type", "owner"),
        ({"description": "x" * 201}, "too_long", "description"),
        ({"description": "a\x00"}, "control_character", "description"),
    ],
)
@pytest.mark.sampled(4)
def test_a_field_that_is_wrong_is_named(service: Service, fields: dict[str, Any], code: str, field: str) -> None:
    problem = assert_problem(post(service, body={"url": URL} | fields), 422, code)
    assert problem["field"] == field
    assert f"`{field}`" in problem["detail"]
    assert "('" not in problem["detail"]
    assert "word@" not in problem["detail"]
    assert read(service, "/webhooks")["items"] == []
    made = create(service)
    assert_problem(patch(service, made["id"], **fields), 422, code)
    assert read(service, f"/webhooks/{made['id']}")["updated_at"] == made["updated_at"]


def test_other_bodies_are_refused(service: Service) -> None:
    path = f"/webhooks/{create(service)['id']}"
    assert_problem(post(service, body={"url": URL, "enabled": True}), 422, "unknown_field")
    assert_problem(post(service, body=[]), 422, "wrong_type")
    assert_problem(patch(service, path.rpartition("/")[2], secret="x"), 422, "unknown_field")
    assert_problem(patch(service, path.rpartition("/")[2], enabled=None), 422, "wrong_type")
    assert_problem(post(service, f"{path}/rotate", {"grace_seconds": 0}), 422, "unknown_field")
    for wrong in ("whe_x", "no-id", new_endpoint_id().upper()):
        answer = service.client.delete(f"/webhooks/{wrong}", headers=bearer(ADMIN))
        assert answer.status_code == 404


def test_private_addresses_can_be_allowed(tmp_path: Path) -> None:
    with service_on("self-hosted", tmp_path, keyring=KEYRING, allow_private=True) as service:
        for url in ("http://127.0.0.1:9000/", "https://10.0.0.7/", "http://localhost/"):
            assert create(service, url=url)["url"] == url
        assert_problem(post(service, body={"url": "https://169.254.169.254/"}), 422, "refused_address")


def test_there_is_a_limit_of_endpoints(service: Service) -> None:
    (first,) = [create(service)["id"] for _ in range(1)]
    stored = adapters(service).endpoints.get(first)
    assert stored is not None
    for _ in range(99):
        adapters(service).endpoints.create(stored.model_copy(update={"id": new_endpoint_id()}))
    problem = assert_problem(post(service, body={"url": URL}), 409, "too_many_endpoints")
    assert (problem["measured"], problem["limit"]) == (100, 100)
    health = EndpointHealth(endpoint_id=first, failing_since=utcnow(), failures=9, version=1)
    adapters(service).deliveries.replace_health(health)
    assert service.client.delete(f"/webhooks/{first}", headers=bearer(ADMIN)).status_code == 204
    assert adapters(service).deliveries.health([first]) == {}
    create(service)


def test_a_failing_endpoint_is_paused_and_enabled_again(service: Service) -> None:
    endpoint = create(service)["id"]
    since = utcnow() - timedelta(hours=2)
    health = EndpointHealth(endpoint_id=endpoint, failing_since=since, failures=9, version=1)
    adapters(service).deliveries.replace_health(health)
    shown = read(service, f"/webhooks/{endpoint}")
    assert (shown["status"], datetime.fromisoformat(shown["failing_since"])) == ("paused", since)
    adapters(service).deliveries.replace_health(health.changed(disabled_at=utcnow()))
    (shown,) = read(service, "/webhooks")["items"]
    assert (shown["status"], shown["enabled"]) == ("disabled", True)
    assert patch(service, endpoint, description="x").json()["status"] == "disabled"
    enabled = patch(service, endpoint, enabled=True).json()
    assert (enabled["status"], enabled["failing_since"]) == ("active", None)
    assert patch(service, endpoint, enabled=False).json()["status"] == "disabled"
    assert_problem(post(service, f"/webhooks/{endpoint}/test"), 409, "webhook_disabled")


def test_a_test_is_an_event_for_one_endpoint(service: Service) -> None:
    endpoint, _ = create(service, events=["image.failed"], owner="ann")["id"], create(service)
    answer = post(service, f"/webhooks/{endpoint}/test")
    made = answer.json()
    assert answer.status_code == 202
    assert (made["type"], made["endpoint_id"], made["status"], made["image_id"]) == (
        "webhook.test", endpoint, "pending", None,
    )  # fmt: skip
    assert read(service, f"/deliveries/{made['id']}") == made
    assert read(service, "/deliveries")["items"] == [made]
    event = adapters(service).deliveries.get_event(made["event_id"])
    assert event is not None
    assert '"type":"webhook.test"' in event.body


def test_deliveries_are_listed_by_each_filter(service: Service) -> None:
    first, second = create(service)["id"], create(service)["id"]
    image = "01a21211-8a9b-7bc8-801b-cadcca2023b7"
    ids = [
        deliver(service, first, "dead", image_id=image), deliver(service, first, "delivered"),
        deliver(service, second, "pending"), deliver(service, second, "dead"),
    ]  # fmt: skip
    for query, expected in (
        ({}, ids[::-1]), ({"endpoint": first}, ids[1::-1]), ({"status": "dead"}, [ids[3], ids[0]]),
        ({"image": image}, ids[:1]), ({"event": ids[1].partition(".")[0]}, ids[1:2]),
        ({"endpoint": second, "status": "dead"}, ids[3:]), ({"endpoint": new_endpoint_id()}, []),
    ):  # fmt: skip
        assert [item["id"] for item in read(service, "/deliveries", **query)["items"]] == expected, query
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(service, "/deliveries", limit=1, status="dead", **cursor)
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        answer = service.client.get("/deliveries", params=cursor, headers=bearer(ADMIN))
        assert_problem(answer, 400, "bad_cursor")
    assert found == [ids[3], ids[0]]
    (shown,) = read(service, "/deliveries", image=image)["items"]
    assert [(each["status"], each["error"], each["ms"]) for each in shown["attempts"]] == [
        (503, None, 87), (None, "timeout", 15_000),
    ]  # fmt: skip
    answer = service.client.get("/deliveries", params={"status": "lost"}, headers=bearer(ADMIN))
    assert_problem(answer, 422, "invalid_request")


def test_a_delivery_is_sent_again(service: Service) -> None:
    endpoint = create(service)["id"]
    sent = deliver(service, endpoint)
    answer = post(service, f"/deliveries/{sent}/redeliver")
    again = answer.json()
    assert (answer.status_code, again["id"], again["status"], len(again["attempts"])) == (202, sent, "pending", 2)
    assert datetime.fromisoformat(again["next_attempt_at"]) <= utcnow()
    for unknown in ("x", f"{new_event_id()}.{endpoint}"):
        assert_problem(post(service, f"/deliveries/{unknown}/redeliver"), 404, "no_such_delivery")
        assert_problem(service.client.get(f"/deliveries/{unknown}", headers=bearer(ADMIN)), 404, "no_such_delivery")
    assert service.client.delete(f"/webhooks/{endpoint}", headers=bearer(ADMIN)).status_code == 204
    assert_problem(post(service, f"/deliveries/{sent}/redeliver"), 404, "webhook_not_found")


def test_the_deliveries_of_a_range_are_sent_again(service: Service) -> None:
    endpoint, other = create(service)["id"], create(service)["id"]
    since = utcnow() - timedelta(minutes=1)
    dead = [deliver(service, endpoint), deliver(service, endpoint)]
    rest = [deliver(service, endpoint, "delivered"), deliver(service, endpoint, "dropped"), deliver(service, other)]
    until = utcnow() + timedelta(minutes=1)
    times = {"endpoint": endpoint, "since": since.isoformat(), "until": until.isoformat()}
    answer = post(service, "/deliveries/redeliver", times)
    assert (answer.status_code, answer.json()) == (202, {"count": 2, "complete": True, "until": None})
    pending = [item["id"] for item in read(service, "/deliveries", status="pending")["items"]]
    assert sorted(pending) == sorted(dead)
    earlier = times | {"since": (since - timedelta(days=2)).isoformat(), "until": since.isoformat()}
    assert post(service, "/deliveries/redeliver", earlier | {"status": "dropped"}).json()["count"] == 0
    assert post(service, "/deliveries/redeliver", times | {"status": "delivered"}).json()["count"] == 1
    assert read(service, f"/deliveries/{rest[0]}")["status"] == "pending"
    assert {read(service, f"/deliveries/{each}")["status"] for each in rest[1:]} == {"dropped", "dead"}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"endpoint": None}, "missing_field", "endpoint"),
        ({"since": None}, "missing_field", "since"),
        ({"until": None}, "missing_field", "until"),
        ({"since": "2026-11-28"}, "bad_range", "since"),
        ({"since": 5}, "wrong_type", "since"),
        ({"until": "2026-11-28T00:00:00Z"}, "bad_range", "until"),
        ({"status": "lost"}, "bad_range", "status"),
        ({"status": "pending"}, "bad_range", "status"),
    ],
)
@pytest.mark.sampled(4)
def test_a_range_that_is_wrong_is_named(service: Service, change: dict[str, Any], code: str, field: str) -> None:
    times = {"endpoint": create(service)["id"], "since": "2026-11-28T00:00:00Z", "until": "2026-11-29T00:00:00Z"}
    problem = assert_problem(post(service, "/deliveries/redeliver", times | change), 422, code)
    assert problem["field"] == field
    unknown = times | {"endpoint": new_endpoint_id()}
    assert_problem(post(service, "/deliveries/redeliver", unknown), 404, "webhook_not_found")


def test_only_admins_see_webhooks(service: Service) -> None:
    endpoint = create(service, owner="ann")["id"]
    for method, path in (
        ("GET", "/webhooks"), ("POST", "/webhooks"), ("GET", f"/webhooks/{endpoint}"),
        ("PATCH", f"/webhooks/{endpoint}"),
        ("DELETE", f"/webhooks/{endpoint}"), ("POST", f"/webhooks/{endpoint}/test"),
        ("POST", f"/webhooks/{endpoint}/rotate"), ("GET", "/deliveries"), ("POST", "/deliveries/redeliver"),
        ("GET", "/deliveries/x"), ("POST", "/deliveries/x/redeliver"),
    ):  # fmt: skip
        assert_problem(service.client.request(method, path, headers=bearer(ANN)), 403, "scope_missing")
    assert read(service, f"/webhooks/{endpoint}")["enabled"]
