"""Pace of bulk commands: few images are in the queue at a time, however long they take."""

from collections.abc import Callable

from app.domain.maintenance.pace import Pace
from app.domain.models import Image
from app.domain.work import Task
from tests.contract.records import an_image
from tests.sides import Side


class Clock:
    """A clock that the pauses of a command move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.left = 1000

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        """Move the clock. Stop after many pauses."""
        assert seconds >= 0
        self.now += seconds
        self.left -= 1
        return self.left <= 0


def an_unfinished_image(side: Side) -> Image:
    image = an_image()
    side.images.create(image, claim=False)
    return image


def make(side: Side, **options: object) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(side.images, side.queue, clock=clock, **options), clock  # type: ignore[arg-type]


def begun(pace: Pace, clock: Clock, act: Callable[[], object] = lambda: None) -> float | None:
    """Seconds until the next image may pass; None if it never does. `act` happens after ten seconds."""
    start = clock.now
    clock.left = 1000
    acted = False

    def pause(seconds: float) -> bool:
        nonlocal acted
        if clock.now - start > 10 and not acted:
            acted = True
            act()
        return clock.pause(seconds)

    return clock.now - start if pace.wait(pause) else None


def test_a_long_queue_is_waited_for(side: Side) -> None:
    pace, clock = make(side, ahead=2)
    for _ in range(2):
        side.queue.send("an upload")

    def receive() -> None:
        (message,) = side.queue.receive(1)
        side.queue.delete(message.receipt)

    seconds = begun(pace, clock, receive)
    assert seconds is not None
    assert 10 < seconds < 20
    side.queue.send("an upload")
    assert begun(pace, clock) is None


def test_images_that_are_not_finished_are_waited_for(side: Side) -> None:
    """The count of SQS can be a minute old: the images that passed count too."""
    pace, clock = make(side, ahead=2)
    images = [an_unfinished_image(side) for _ in range(2)]
    for image in images:
        assert begun(pace, clock) == 0
        pace.note(image.id)
    seconds = begun(pace, clock, lambda: side.images.update(images[1].id, 1, {"work": {Task.PROCESS: None}}))
    assert seconds is not None
    assert 10 < seconds < 20


def test_images_that_never_finish_are_not_waited_for_longer_than_the_count_can_lag(side: Side) -> None:
    pace, clock = make(side, ahead=1)
    pace.note(an_unfinished_image(side).id)
    seconds = begun(pace, clock)
    assert seconds is not None
    assert 55 < seconds < 70


def test_deleted_images_are_finished(side: Side) -> None:
    pace, clock = make(side, ahead=1)
    image = an_unfinished_image(side)
    pace.note(image.id)
    side.deletion.delete(image.owner, image.id)
    assert begun(pace, clock) == 0


def test_a_rate_is_kept(side: Side) -> None:
    pace, clock = make(side, ahead=100, per_minute=6)
    start = clock.now
    for number in range(4):
        assert begun(pace, clock) is not None
        assert clock.now - start >= 10 * number
        pace.note(f"image {number}")
    assert clock.now - start < 35
    clock.now += 600  # time that was not used does not make a burst
    assert begun(pace, clock) == 0
    pace.note("image 5")
    assert begun(pace, clock)
