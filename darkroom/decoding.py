"""JSON documents to the classes of `darkroom.records`."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(kind: type[T], document: Any) -> T:
    """Build an object of a dataclass. Raises `ValueError` for a document of another kind."""
    if not isinstance(document, Mapping):
        raise TypeError
    fields: Any = kind
    values = {name: read(document[name]) for name, read in _readers(fields) if name in document}
    if "raw" in _names(fields):
        values["raw"] = document
    return kind(**values)


@lru_cache
def _names(kind: type[Any]) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))


@lru_cache
def _readers(kind: type[Any]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    return tuple((name, _reader(hint)) for name, hint in get_type_hints(kind).items() if name != "raw")


def _reader(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (given,) = (each for each in arguments if each is not NoneType)
        read = _reader(given)
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda value: tuple(item(each) for each in value)
    if dataclasses.is_dataclass(hint):
        return lambda value: decode(hint, value)  # type: ignore[arg-type]  # a class, not an object
    if hint in {datetime, date}:
        return hint.fromisoformat  # type: ignore[no-any-return]  # of one of the two
    return lambda value: value
