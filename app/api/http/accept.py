"""Which format a client takes, by its `Accept` header (RFC 9110 section 12.5.1)."""

from collections.abc import Iterable

from app.domain.models import Format

# Among formats that the client names itself the smaller is better; among those it would take too, the better known.
_NAMED = (Format.AVIF, Format.WEBP, Format.JPEG, Format.PNG)
_TAKEN_TOO = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF)


def best(accept: str | None, formats: Iterable[Format]) -> Format | None:
    """The format to answer with, or None if none of them is acceptable. Without a header any is."""
    ranges = dict(_ranges(accept)) if accept and accept.strip() else {"*/*": 1.0}

    def rank(candidate: Format) -> tuple[float, bool, int]:
        named = candidate.media_type in ranges
        wide = ranges.get("image/*", ranges.get("*/*", 0.0))
        weight = ranges[candidate.media_type] if named else wide
        return weight, named, -(_NAMED if named else _TAKEN_TOO).index(candidate)

    chosen = max(formats, key=rank, default=None)
    return chosen if chosen and rank(chosen)[0] > 0 else None


def _ranges(accept: str) -> Iterable[tuple[str, float]]:
    for part in accept.lower().split(",")[:64]:
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value)
        yield media_range, weight


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
