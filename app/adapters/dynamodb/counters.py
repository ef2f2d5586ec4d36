"""Counts of images by owner: one item for each owner, changed after the record.

A record and its counts are not written together: transactions on the item of a busy owner would conflict. So a change
is missing if the process ends in between, and counts twice if its answer is lost and it is repeated. `recount` repairs
that.
"""

import heapq
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any

from app.adapters.dynamodb import items
from app.adapters.dynamodb.calls import Refused, call
from app.adapters.dynamodb.items import Item
from app.adapters.dynamodb.keys import NEW_OWNERS, OWNERS, quota_key, stats_key
from app.adapters.dynamodb.quota.usage import read_usage, recount_usage
from app.adapters.dynamodb.reading import read_items
from app.adapters.dynamodb.table import INDEX_KEY, INDEX_SORT, KEY
from app.adapters.dynamodb.walks import Span, Walk
from app.domain.errors import Unavailable
from app.domain.images.stats import RECIPE, Change, OwnerCounts, add_up
from app.domain.quota.usage import Usage

log = logging.getLogger(__name__)

#: Attribute of the item: time of the last recount.
RECOUNTED_AT = "recounted_at"
#: Attribute of the item: the set of the recipes that have a counter.
RECIPES = "recipes"
#: Maximum number of counters of recipes. An image of a further recipe is not counted as one of that recipe.
MOST_RECIPES = 50
#: Above and below the names of all owners.
LOWEST_OWNER, HIGHEST_OWNER = "!", "~"

_NOT_COUNTS = frozenset({KEY, INDEX_KEY, INDEX_SORT, RECIPES, RECOUNTED_AT})


class DynamoCounters:
    """`Counters` in the table of the records. A failed change is logged and ignored: the record is what counts."""

    exact = False

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._noted: set[str] = set()

    def add(self, changes: Iterable[Change]) -> None:
        """Change the counts as records have changed."""
        for owner, amounts in add_up(changes).items():
            try:
                self._add(owner, amounts)
            except Unavailable:
                log.warning("the counts of an owner have not followed a change: the next recount repairs them")

    def note(self, owner: str) -> None:
        """Add an owner to the list of owners, once for each process. Does not change counts."""
        if owner not in self._noted:
            self._add(owner, {})
            self._noted.add(owner)

    def get(self, owner: str) -> OwnerCounts:
        """See `Counters.get`."""
        return self._read([owner]).get(owner, OwnerCounts(owner))

    def list(self, limit: int, after: str | None = None) -> Sequence[OwnerCounts]:
        """See `Counters.list`."""
        span = Span(f"{after}!" if after else LOWEST_OWNER, HIGHEST_OWNER)
        walks = [Walk(self._client, self._table, partition, span, limit) for partition in (OWNERS, NEW_OWNERS)]
        # An owner whose counts are recounted between the two queries is in both lists.
        merged = dict.fromkeys(heapq.merge(*(iter(walk.take, None) for walk in walks)))
        owners = list(islice(merged, limit))
        found = self._read(owners)
        return [found[owner] for owner in owners if owner in found]

    def recount_usage(self, owner: str) -> Usage:
        """See `Counters.recount_usage`."""
        self._make_due(owner)
        return recount_usage(self._client, self._table, owner)

    def _make_due(self, owner: str) -> None:
        """Put the counts of an owner among those that the next run of `Recounts` recounts."""
        with suppress(Refused):  # the owner has none
            call(
                self._client.update_item,
                TableName=self._table,
                Key=items.serialize({KEY: stats_key(owner)}),
                UpdateExpression=f"SET {INDEX_KEY} = :new",
                ConditionExpression=f"attribute_exists({KEY})",
                ExpressionAttributeValues=items.serialize({":new": NEW_OWNERS}),
            )

    def _read(self, owners: Sequence[str]) -> Mapping[str, OwnerCounts]:
        """Return the counts and the usage of those owners who have an item of counts or of usage."""
        keys = [key for owner in owners for key in (stats_key(owner), quota_key(owner))]
        found = {item[KEY]: item for item in read_items(self._client, self._table, keys)}
        return {
            owner: owner_counts(owner, found.get(stats_key(owner), {}))._replace(
                usage=read_usage(found.get(quota_key(owner), {}))
            )
            for owner in owners
            if found.keys() & {stats_key(owner), quota_key(owner)}
        }

    def _add(self, owner: str, amounts: Mapping[str, int]) -> None:
        recipes = {name for name in amounts if name.startswith(RECIPE)}
        try:
            call(self._client.update_item, **self._addition(owner, amounts, recipes))
        except Refused:  # too many recipes
            others = {name: amount for name, amount in amounts.items() if name not in recipes}
            call(self._client.update_item, **self._addition(owner, others, set()))

    def _addition(self, owner: str, amounts: Mapping[str, int], recipes: set[str]) -> dict[str, Any]:
        added: dict[str, Any] = {**amounts, **({RECIPES: recipes} if recipes else {})}
        names = {f"#{number}": name for number, name in enumerate(added)}
        values = {f":{number}": value for number, value in enumerate(added.values())}
        expression = f"SET {INDEX_KEY} = if_not_exists({INDEX_KEY}, :new), {INDEX_SORT} = :owner"
        values |= {":new": NEW_OWNERS, ":owner": owner}
        more: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
        if names:
            expression += " ADD " + ", ".join(f"{name} :{name[1:]}" for name in names)
        if recipes:
            known = {f":recipe{number}": recipe for number, recipe in enumerate(sorted(recipes))}
            there = " AND ".join(f"contains({RECIPES}, {name})" for name in known)
            alternatives = [f"attribute_not_exists({RECIPES})", f"size({RECIPES}) <= :most", there]
            more["ConditionExpression"] = " OR ".join(alternatives)  # AND binds more tightly
            values |= {**known, ":most": MOST_RECIPES - len(recipes)}
        return {
            "TableName": self._table,
            "Key": items.serialize({KEY: stats_key(owner)}),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": items.serialize(values),
            **more,
        }


def owner_counts(owner: str, item: Item) -> OwnerCounts:
    """Return the counts in an item."""
    recounted = item.get(RECOUNTED_AT)
    counts = {name: value for name, value in item.items() if name not in _NOT_COUNTS}
    return OwnerCounts(owner, counts, datetime.fromisoformat(recounted) if recounted else None)
