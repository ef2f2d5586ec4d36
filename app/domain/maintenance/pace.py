"""Pace of a command that has many images processed: uploads pass in between."""

import time
from collections.abc import Callable

from app.domain.models import Image
from app.domain.ports import EventQueue, ImageRepository
from app.domain.work import Task

#: Waits for seconds. Returns True if the command should stop.
Pause = Callable[[float], bool]

#: Default number of images of a command that are in the queue or in work at the same time.
AHEAD = 5
#: Age that the queue's own count of messages can have, in seconds. That of SQS is at most a minute old.
_COUNT_LAG = 60.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Pace:
    """Lets the next image pass when few messages wait in the queue and few images that passed are unfinished.

    `ahead` limits both; `per_minute` limits the images a minute.
    """

    def __init__(
        self,
        images: ImageRepository,
        queue: EventQueue,
        *,
        ahead: int = AHEAD,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._images = images
        self._queue = queue
        self._ahead = ahead
        self._interval = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._next = clock()
        self._passed: list[tuple[str, float]] = []

    def wait(self, pause: Pause) -> bool:
        """Wait until another image may pass. Return False if the command should stop."""
        seconds = _SHORTEST_PAUSE
        while True:
            early = self._next - self._clock()
            if early <= 0 and self._has_room():
                return True
            if pause(min(max(early, seconds), _LONGEST_PAUSE)):
                return False
            seconds = min(2 * seconds, _LONGEST_PAUSE)

    def note(self, image_id: str) -> None:
        """Note an image whose event was sent."""
        now = self._clock()
        self._next = now + self._interval
        self._passed.append((image_id, now))

    def _has_room(self) -> bool:
        if len(self._passed) >= self._ahead:
            counted = self._clock() - _COUNT_LAG  # the count of the queue includes the older ones
            self._passed = [each for each in self._passed if each[1] > counted and self._is_unfinished(each[0])]
        return len(self._passed) < self._ahead and self._queue.waiting() < self._ahead

    def _is_unfinished(self, image_id: str) -> bool:
        found = self._images.get(image_id)
        return isinstance(found, Image) and Task.PROCESS in found.work
