"""Pages of lists whose stores return one item more than a page has, if there is a next one."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from app.domain.access.signing import Cursors

T = TypeVar("T")


class Paging(NamedTuple):
    """Position and size of a page. Cursors are valid for the list that `bound` names."""

    cursors: Cursors
    bound: Mapping[str, object]
    limit: int
    cursor: str | None

    def read(
        self, read: Callable[[int, str | None], Sequence[T]], position: Callable[[T], str]
    ) -> tuple[Sequence[T], str | None]:
        """Return the items of the page, and the cursor of the next one. `read` gets a limit, and the position of the
        last item that was seen. Raises `Malformed` for the cursor of another list."""
        after = None if self.cursor is None else self.cursors.read(self.cursor, self.bound)
        found = read(self.limit + 1, after)
        shown = found[: self.limit]
        return shown, self.cursors.write(position(shown[-1]), self.bound) if len(found) > self.limit else None
