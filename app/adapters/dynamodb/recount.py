"""Recount of images by owner, in pieces that fit into the time of a run."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.counters import (
    HIGHEST_OWNER,
    LOWEST_OWNER,
    MOST_RECIPES,
    RECIPES,
    RECOUNTED_AT,
    owner_counts,
)
from app.adapters.dynamodb.keys import NEW_OWNERS, OWNERS, list_partitions, stats_key
from app.adapters.dynamodb.reading import BATCH, read_item, read_records
from app.adapters.dynamodb.table import INDEX_KEY, INDEX_SORT, KEY
from app.adapters.dynamodb.walks import LOWEST, MOST, Span, Walk
from app.domain.errors import PortError
from app.domain.ids import first_id_at
from app.domain.images.stats import RECIPE, RECOUNT_AFTER, count
from app.domain.models import utcnow

#: Key of the item that holds the position of a run.
POSITION = "recount"
#: A round leaves out owners who were recounted this long before it began.
_RECENT = timedelta(days=1)


@dataclass
class _Owner:
    """Recount of one owner: the counts before it, and those of the records that it has seen.

    Images that are newer than its beginning are left out: their counts have been added since.
    """

    name: str
    before: dict[str, int]
    last_recount: str | None
    end: str
    counted: dict[str, int] = field(default_factory=dict)
    partition: int = 0
    after: str | None = None


@dataclass
class _Position:
    """Position of the weekly round: its beginning, its last owner unless it is finished, and an unfinished owner."""

    since: str | None = None
    last: str | None = None
    unfinished: dict[str, Any] | None = None


class Recounts:
    """Recounts owners whose images have never been recounted, and every week all others.

    The differences that it finds are added, so that changes made meanwhile stay. An image that changes between the
    beginning of its owner's recount and the read of its record is counted with its new state and with the change, until
    the next recount.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def run(self, is_time_left: Callable[[], bool], *, now: datetime | None = None) -> int:
        """Recount the owners that are due, or go on where the last run has stopped. Return the number of owners."""
        if not is_time_left():
            return 0
        position = self._read_position()
        before = asdict(position)
        try:
            finished = sum(1 for _ in self._recounted(position, now or utcnow(), is_time_left))
        except PortError:
            self._write_position(position)
            raise
        if asdict(position) != before:
            self._write_position(position)
        return finished

    def _recounted(self, position: _Position, now: datetime, is_time_left: Callable[[], bool]) -> Iterator[str]:
        if position.unfinished:
            owner = _Owner(**position.unfinished)
            if not self._recount(owner, now, position, is_time_left):
                return
            yield owner.name
        for partition, name in self._due(position, now):
            if not is_time_left():
                return
            begun = self._begin(name, partition, position)
            if begun is not None:
                if not self._recount(begun, now, position, is_time_left):
                    return
                yield name
            if partition == OWNERS:
                position.last = name
        position.last = None

    def _due(self, position: _Position, now: datetime) -> Iterator[tuple[str, str]]:
        """Yield partitions and names of owners: new ones, then those of the round, if it is time for one."""
        for name in self._owners(NEW_OWNERS, LOWEST_OWNER):
            yield NEW_OWNERS, name
        since = position.since and datetime.fromisoformat(position.since)
        if position.last is None:
            if since and since <= now < since + RECOUNT_AFTER:
                return
            position.since, position.last = now.isoformat(), LOWEST_OWNER
        for name in self._owners(OWNERS, f"{position.last}!"):
            yield OWNERS, name

    def _owners(self, partition: str, low: str) -> Iterator[str]:
        return iter(Walk(self._client, self._table, partition, Span(low, HIGHEST_OWNER), MOST).take, None)

    def _begin(self, name: str, partition: str, position: _Position) -> _Owner | None:
        """Read the counts of an owner. Return None if they have been recounted already."""
        item = read_item(self._client, self._table, stats_key(name))
        if item is None or item[INDEX_KEY] != partition:
            return None
        last_recount = item.get(RECOUNTED_AT)
        if partition == OWNERS and last_recount and position.since:
            since, last = datetime.fromisoformat(position.since), datetime.fromisoformat(last_recount)
            if last > since - _RECENT:
                return None
        before = dict(owner_counts(name, item).counts)
        return _Owner(name, before, last_recount, first_id_at(utcnow()))

    def _recount(self, owner: _Owner, now: datetime, position: _Position, is_time_left: Callable[[], bool]) -> bool:
        """Count the records of the owner from where it has stopped. Return False if there is no time to finish."""
        position.unfinished = None
        for partition in list_partitions(owner.name)[owner.partition :]:
            span = Span(f"{owner.after}-" if owner.after else LOWEST, owner.end)
            walk = Walk(self._client, self._table, partition, span, MOST)
            while ids := list(islice(iter(walk.take, None), BATCH)):
                if not is_time_left():
                    position.unfinished = asdict(owner)
                    return False
                total = Counter(owner.counted)
                for image in read_records(self._client, self._table, ids).values():
                    total.update(count(image))
                owner.counted, owner.after = dict(total), ids[-1]
            owner.partition, owner.after = owner.partition + 1, None
        self._finish(owner, now.isoformat())
        return True

    def _finish(self, owner: _Owner, moment: str) -> None:
        """Correct the counts, unless another run has done so. Remove those of an owner who has no images."""
        counted = {name: value for name, value in owner.counted.items() if value}
        try:
            if counted or not self._remove(owner):
                call(self._client.update_item, **self._correction(owner, counted, moment))
        except Refused:
            pass  # another run was first

    def _remove(self, owner: _Owner) -> bool:
        """Remove the item if it has not changed since the recount began."""
        condition, names, values = _is_unchanged(owner)
        for number, (name, value) in enumerate(owner.before.items()):
            condition += f" AND #{number} = :{number}"
            names[f"#{number}"], values[f":{number}"] = name, value
        more = {"ExpressionAttributeValues": items.serialize(values)} if values else {}
        try:
            call(
                self._client.delete_item,
                **self._at(owner),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                **more,
            )
        except Refused:
            return False
        return True

    def _correction(self, owner: _Owner, counted: dict[str, int], moment: str) -> dict[str, Any]:
        """Build the update that adds the differences. It removes the counters of recipes that no image has."""
        recipes = sorted((name for name in counted if name.startswith(RECIPE)), key=lambda name: -counted[name])
        kept = set(recipes[:MOST_RECIPES])
        known = {name for name in (*counted, *owner.before) if not name.startswith(RECIPE)} | kept
        condition, names, values = _is_unchanged(owner)
        added = {name: counted.get(name, 0) - owner.before.get(name, 0) for name in known}
        added = {name: value for name, value in added.items() if value}
        removed = [name for name in owner.before if name not in known] + ([] if kept else [RECIPES])
        expression = f"SET {INDEX_KEY} = :owners, {INDEX_SORT} = :owner, #recounted = :moment"
        values |= {":owners": OWNERS, ":owner": owner.name, ":moment": moment}
        if kept:
            expression += f", {RECIPES} = :recipes"
            values[":recipes"] = kept
        for verb, parts in (("ADD", [*added]), ("REMOVE", removed)):
            if parts:
                expression += f" {verb} " + ", ".join(
                    f"#{verb}{number}" + (f" :{verb}{number}" if verb == "ADD" else "") for number in range(len(parts))
                )
                names |= {f"#{verb}{number}": name for number, name in enumerate(parts)}
        values |= {f":ADD{number}": value for number, value in enumerate(added.values())}
        return {
            **self._at(owner),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": items.serialize(values),
        }

    def _at(self, owner: _Owner) -> dict[str, Any]:
        return {"TableName": self._table, "Key": items.serialize({KEY: stats_key(owner.name)})}

    def _read_position(self) -> _Position:
        item = read_item(self._client, self._table, POSITION)
        return _Position(**json.loads(item["position"])) if item else _Position()

    def _write_position(self, position: _Position) -> None:
        item = {KEY: POSITION, "position": json.dumps(asdict(position))}
        call(self._client.put_item, TableName=self._table, Item=items.serialize(item))


def _is_unchanged(owner: _Owner) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return the condition that no other run has recounted the owner, with its names and values."""
    names = {"#recounted": RECOUNTED_AT}
    if owner.last_recount is None:
        return f"attribute_exists({KEY}) AND attribute_not_exists(#recounted)", names, {}
    return "#recounted = :last", names, {":last": owner.last_recount}
