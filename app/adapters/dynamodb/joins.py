"""Ids of images that several filters match.

Each filter has a partition of the index. The ids come from the rarest one. Another partition is compared with it as
long as that saves more than it costs, and the records tell the rest: an entry of the index costs about a fiftieth of a
record, but a partition that contains most images has many entries for each id of the rarest one.
"""

from collections.abc import Sequence
from functools import reduce

from app.adapters.dynamodb.walks import Walk

#: Entries of the first query of each partition.
FIRST_PAGE = 120
#: Growth of the queries of partitions that are compared.
GROWTH = 4
#: Index entries that cost as much as a record.
_ENTRIES_PER_RECORD = 50
#: Records that a further query must save in addition to its units, because it takes time.
_QUERY = 5
#: Records that a page must want for partitions to be compared again that were given up.
_WORTH_COMPARING = 20


class Join:
    """Iterator over the ids of the rarest partition that the others do not rule out."""

    def __init__(self, walks: Sequence[Walk]) -> None:
        self._walks = walks
        self._rarest = walks[0]
        self._others: list[_Compared] = []
        self._is_arranged = len(walks) == 1

    def take(self, count: int) -> list[str]:
        """Return the next ids, at most `count`, and fewer at the end only. A record may match fewer filters."""
        if not self._is_arranged or (len(self._walks) > 1 and count >= _WORTH_COMPARING):
            self._arrange()
        ids: list[str] = []
        while len(ids) < count and (image_id := self._next()) is not None:
            ids.append(image_id)
        return ids

    def _arrange(self) -> None:
        """Bring all partitions to the same id, and find the rarest: what it has read reaches furthest from there."""
        self._is_arranged = True
        heads = [head for walk in self._walks if (head := walk.head()) is not None]
        if len(heads) < len(self._walks):  # no further image has all filters
            self._rarest = next(walk for walk in self._walks if walk.head() is None)
            return
        position = reduce(self._rarest.further, heads)
        for walk in self._walks:
            if not walk.has_read(position):
                walk.next_page(FIRST_PAGE)
            walk.skip_to(position)
        for walk in self._walks:
            if self._is_rarer(walk):
                self._rarest = walk
        self._others = [_Compared(walk) for walk in self._walks if walk is not self._rarest]

    def _is_rarer(self, walk: Walk) -> bool:
        read_to, rarest = walk.read_to, self._rarest.read_to
        if read_to is None or rarest is None:
            return read_to is None and (rarest is not None or walk.waiting < self._rarest.waiting)
        return read_to != rarest and walk.further(rarest, read_to) == read_to

    def _next(self) -> str | None:
        """Return the next id of the rarest partition that the others do not rule out."""
        wanted = self._rarest.head()
        while wanted is not None:
            for other in self._others:
                found = other.skip_to(wanted)
                if found != wanted:
                    passed = self._rarest.passed
                    wanted = None if found is None else self._rarest.skip_to(found)
                    other.saved += self._rarest.passed - passed
                    break
            else:
                self._rarest.take()
                return wanted
        return None


class _Compared:
    """A partition that is compared with the rarest one. `saved` counts the ids that its last page has ruled out."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._is_given_up = False
        self.saved = 0

    def skip_to(self, image_id: str) -> str | None:
        """Return the first id that is not before this one, or None at the end. If another query is not worth it, the
        partition is given up, and the result is the id itself."""
        if not self._is_given_up and not self._walk.has_read(image_id):
            self._is_given_up = self.saved < self._walk.page_size / _ENTRIES_PER_RECORD + _QUERY
            self.saved = 0
        return image_id if self._is_given_up else self._walk.skip_to(image_id)
