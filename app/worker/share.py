"""Share of the machine that one delivery of an event gets, and what it has used of it."""

from dataclasses import dataclass


@dataclass
class Share:
    """`timed_out` is True if processing the image has used up its time."""

    timed_out: bool = False
