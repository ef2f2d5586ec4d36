"""A page ends before its items are larger than a function can return them: as an ASCII string."""

import json

import pytest

from app.api.views import list_page
from app.api.views.list_page import JsonItem, join_items

#: Characters of one to four bytes, with those that are escaped.
CHARACTERS = ("a", '"', "\\", "\x7f", "é", "€", "\N{CAMERA}")


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize(("room", "shown"), [(0, 3), (-1, 2)])
def test_a_page_is_as_full_as_it_can_be(character: str, room: int, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [character * length for length in (100, 10, 50)]
    sizes = [len(json.dumps(text)) for text in texts]
    monkeypatch.setattr(list_page, "PAGE_BYTES", sum(sizes) + room)
    page = join_items(JsonItem(str(at), text.encode()) for at, text in enumerate(texts))
    assert [text.decode() for text in page.texts] == texts[:shown]
    assert page.cut_after == (None if shown == len(texts) else str(shown - 1))


def test_a_page_has_at_least_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_page, "PAGE_BYTES", 1)
    assert join_items([JsonItem("first", b"{}"), JsonItem("second", b"{}")]) == ([b"{}"], "first")
    assert join_items([JsonItem("only", b"{}")]) == ([b"{}"], None)
