"""Webhooks in a backup: endpoints, their health, events and deliveries."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from app.adapters.sqlite import Database, SqliteDeliveries, SqliteEndpoints
from app.domain.delivery.deliveries import DeliveryStatus, EndpointHealth
from app.domain.models import utcnow
from app.domain.ports.delivery_store import DeliveryQuery
from tests.domain.delivery.receivers import an_endpoint
from tests.self_hosted.backup.installations import backup, created, store
from tests.sides import Side


def test_a_restored_backup_has_endpoints_and_deliveries(side: Side, data: Path, target: Path, tmp_path: Path) -> None:
    endpoint = an_endpoint()
    with closing(Database(data / "darkroom.db")) as database:
        SqliteEndpoints(database).create(endpoint)
        deliveries = SqliteDeliveries(database)
        image = store(side, b"one")
        before = deliveries.list(DeliveryQuery(10)).items
        assert {each.type for each in before} == {"image.uploaded", "image.ready"}
        deliveries.replace(before[0].finish(DeliveryStatus.DEAD, utcnow()))
        failing = EndpointHealth(endpoint_id=endpoint.id, failures=3, failing_since=utcnow(), version=1)
        deliveries.replace_health(failing)
        kept = deliveries.list(DeliveryQuery(10)).items
        events = [deliveries.get_event(each.event_id) for each in kept]
    made = created(target)
    assert backup("restore", made, "--into", tmp_path / "restored").exit_code == 0
    with closing(Database(tmp_path / "restored" / "darkroom.db")) as database:
        deliveries = SqliteDeliveries(database)
        assert SqliteEndpoints(database).all() == [endpoint]
        assert deliveries.list(DeliveryQuery(10)).items == kept
        assert [deliveries.get_event(each.event_id) for each in kept] == events
        assert deliveries.health([endpoint.id]) == {endpoint.id: failing}
        # The one that is pending is sent by the restored installation.
        assert [each.image_id for each in deliveries.due(utcnow() + timedelta(days=1), 10)] == [image.id]
