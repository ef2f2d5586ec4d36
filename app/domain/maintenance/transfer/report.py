"""Reports of exports and imports."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class ExportReport:
    """Counts of one run.

    `copied` and `copied_bytes`: files that were written; `unchanged`: files of an earlier run. `unfinished`: uploads
    and upload tickets whose bytes have not arrived. `originals_missing`, `variants_missing`: images whose original or
    variants the store has lost. `damaged`: originals that differ from the hash in their record. `failed`: images that
    could not be exported.
    """

    images: int = 0
    copied: int = 0
    copied_bytes: int = 0
    unchanged: int = 0
    unfinished: int = 0
    originals_missing: int = 0
    variants_missing: int = 0
    damaged: int = 0
    failed: int = 0
    complete: bool = False

    @property
    def is_good(self) -> bool:
        """True if every image was exported as it was uploaded."""
        return self.complete and not (self.failed or self.originals_missing or self.variants_missing or self.damaged)


@dataclass(kw_only=True)
class RestoreReport:
    """Counts of one run.

    `restored`: images that were written; `completed`: known images that lacked bytes; `unchanged`: images that are
    there. `refused`: images that cannot be imported, and `first_refusal` the reason of the first. `damaged_variants`:
    files that differ from the export's hash; they are rendered again.
    """

    images: int = 0
    restored: int = 0
    completed: int = 0
    unchanged: int = 0
    refused: int = 0
    damaged_variants: int = 0
    stored_bytes: int = 0
    first_refusal: str | None = None
    complete: bool = False

    @property
    def is_good(self) -> bool:
        """True if every image of the export is there with all of its files."""
        return self.complete and not (self.refused or self.damaged_variants)


@dataclass(kw_only=True)
class AdoptReport:
    """Counts of one run.

    `new`: images that were stored; `known`: files whose bytes the owner has; `ignored`: files that are no images;
    `refused`: images that cannot be accepted. `first_refusal` is the reason of the first of these.
    """

    files: int = 0
    new: int = 0
    known: int = 0
    ignored: int = 0
    refused: int = 0
    stored_bytes: int = 0
    first_refusal: str | None = None
    complete: bool = False

    @property
    def is_good(self) -> bool:
        """True if every image of the folder is stored."""
        return self.complete and not self.refused
