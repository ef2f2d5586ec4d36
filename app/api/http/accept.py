"""Content negotiation of variant formats by the `Accept` header (RFC 9110 section 12.5.1)."""

from collections.abc import Collection, Iterable

from app.domain.models import Format

# Among formats that the client names, the smaller file wins; among those that only a wildcard covers, wider support.
_BY_SIZE = (Format.JXL, Format.AVIF, Format.WEBP, Format.JPEG, Format.PNG)
_BY_SUPPORT = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.JXL)


def negotiate_format(accept: str | None, formats: Collection[Format]) -> Format | None:
    """Return the best of the formats, or None if none is acceptable. Without a header, all are acceptable.

    A wildcard covers JPEG XL only if there is no other format: browsers that show it name it.
    """
    ranges = dict(_parse_ranges(accept)) if accept and accept.strip() else {"*/*": 1.0}

    def rank(candidate: Format) -> tuple[float, bool, int]:
        named = candidate.media_type in ranges
        wildcard = ranges.get("image/*", ranges.get("*/*", 0.0))
        weight = ranges[candidate.media_type] if named else wildcard
        return weight, named, -(_BY_SIZE if named else _BY_SUPPORT).index(candidate)

    usual = [form for form in formats if form is not Format.JXL or form.media_type in ranges]
    chosen = max(usual or formats, key=rank, default=None)
    return chosen if chosen and rank(chosen)[0] > 0 else None


def _parse_ranges(accept: str) -> Iterable[tuple[str, float]]:
    for part in accept.lower().split(",")[:64]:
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _parse_weight(value)
        yield media_range, weight


def _parse_weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
