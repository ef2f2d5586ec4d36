"""Answers that clients got in a storm, and the findings after it."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    """State of an image as its client knows it. In `unsure` ones the answer to the last request was lost."""

    LIVE = "live"
    TRASHED = "trashed"
    DELETED = "deleted"
    UNSURE_IF_TRASHED = "unsure if trashed"
    UNSURE_IF_DELETED = "unsure if deleted"


@dataclass
class Ledger:
    """Uploads that the service has acknowledged, by image id, and what was done to them. Each image has one client."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    fates: dict[str, Fate] = field(default_factory=dict)
    #: Images whose time in the trash was made to end: reconcile may delete them.
    due: set[str] = field(default_factory=set)
    #: Images that came by upload tickets, and images whose move to the trash was acknowledged.
    tickets: set[str] = field(default_factory=set)
    trashed: set[str] = field(default_factory=set)
    #: Idempotency keys that were used, with the id that the answer had, or None without an answer.
    keys: dict[str, str | None] = field(default_factory=dict)
    #: Fields of images as the last answers of edits had them.
    edited: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Edits whose answer was lost at the end: the image has these values or the earlier ones.
    maybe: dict[str, dict[str, str]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    edits: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    #: Moves to the trash and out of it, permanent deletes, repetitions of keys, and changes of stored times.
    events: Counter[str] = field(default_factory=Counter)
    #: Answers that no client should get.
    surprises: list[str] = field(default_factory=list)

    def with_fate(self, *fates: Fate) -> list[str]:
        """Return the images with one of these fates."""
        return [image_id for image_id, fate in self.fates.items() if fate in fates]


@dataclass
class Outcome:
    """Findings after the storm."""

    ledger: Ledger
    lost: list[str] = field(default_factory=list)
    #: Deleted images that are still there, or some of whose files are.
    undead: list[str] = field(default_factory=list)
    #: Images whose process was killed in every attempt: their bytes are there.
    given_up: list[str] = field(default_factory=list)
    #: Objects without a record, which `darkroom reconcile --remove-orphans` removes.
    orphans: int = 0
    #: Objects without a record after that.
    without_record: list[str] = field(default_factory=list)
    #: Edits that were answered and are not in the record.
    forgotten: list[str] = field(default_factory=list)
    #: Public objects of images that are not public, objects that no record names, and variants that are missing.
    misplaced: list[str] = field(default_factory=list)
    #: Idempotency keys with more than one image, or with another one than the answer had.
    repeated: list[str] = field(default_factory=list)
    #: Statistics that differ from the records.
    miscounted: list[str] = field(default_factory=list)
    #: Events that did not reach the receiver, and acknowledged changes without one.
    unsent: list[str] = field(default_factory=list)
    #: Events and requests that reached it.
    events: int = 0
    requests: int = 0
    #: Images in the trash that reconcile has deleted in the storm, and images restored after it.
    purged: int = 0
    restored: int = 0

    @property
    def problems(self) -> list[str]:
        """Every broken promise, as sentences."""
        return [
            *self.lost,
            *(f"deleted and still there: {each}" for each in self.undead),
            *self.forgotten,
            *self.misplaced,
            *self.repeated,
            *self.miscounted,
            *(f"webhook: {each}" for each in self.unsent),
            *(f"without a record: {each}" for each in self.without_record),
            *(f"not expected: {each}" for each in self.ledger.surprises),
        ]

    def __str__(self) -> str:
        ledger = self.ledger
        fates = Counter(str(fate) for fate in ledger.fates.values())
        acknowledged = f"acknowledged {len(ledger.acknowledged)} ({_counts(ledger.kinds)}; {_counts(fates)})"
        keys = f"keys {len(ledger.keys)} ({sum(map(bool, ledger.keys.values()))} answered)"
        return "\n".join(
            [
                f"kills {ledger.kills.total()} ({_counts(ledger.kills)})",
                f"{acknowledged}, {keys}",
                f"edits ({_counts(ledger.edits)}), events ({_counts(ledger.events)})",
                f"purged {self.purged}, restored afterwards {self.restored}, given up {len(self.given_up)}",
                f"webhook events {self.events}, requests with them {self.requests}, unsent {len(self.unsent)}",
                f"orphans {self.orphans}, problems {len(self.problems)}",
            ]
        )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))
