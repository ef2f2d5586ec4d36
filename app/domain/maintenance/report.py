"""Report of a run of reconcile."""

from dataclasses import dataclass, fields


@dataclass
class Report:
    """Counts of one run.

    `waiting`: old `pending` images whose events may still be in the queue. `never_came`: records removed because their
    bytes never came. `trash_deleted`: images deleted because their time in the trash is over. `left`: unfinished
    records that the run had no time for, counted up to a limit. `orphans_young`: objects without a record that are too
    young to count as orphans. `search_left`: 1 if there was no time to finish the search for orphans.
    `original_missing`: images that cannot be rendered again, because their original is gone. `recounted`: owners whose
    approximate counts were corrected. `webhooks_repeated`: messages of webhooks that were lost and sent again.
    """

    queued_again: int = 0
    waiting: int = 0
    left: int = 0
    never_came: int = 0
    given_up: int = 0
    trash_deleted: int = 0
    deletes_finished: int = 0
    renderings_swept: int = 0
    hides_finished: int = 0
    invalidated: int = 0
    original_missing: int = 0
    orphans: int = 0
    orphans_young: int = 0
    orphans_removed: int = 0
    orphans_adopted: int = 0
    search_left: int = 0
    recounted: int = 0
    webhooks_repeated: int = 0
    errors: int = 0

    def __str__(self) -> str:
        counts = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self)}
        return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "nothing to do"
