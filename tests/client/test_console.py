"""Output of commands."""

import pytest

from darkroom.cli.console import shorten


@pytest.mark.parametrize(
    ("text", "columns", "end", "start"),
    [
        ("photo.jpg", 9, "photo.jpg", "photo.jpg"),
        ("photo.jpg", 8, "photo.j…", "…oto.jpg"),
        ("写真.jpg", 8, "写真.jpg", "写真.jpg"),
        ("写真.jpg", 6, "写真.…", "….jpg"),
        ("写真.jpg", 4, "写…", "…jpg"),
        ("写真", 2, "…", "…"),
        ("photo.jpg", 0, "…", "…"),
        ("photo.jpg", -3, "…", "…"),
    ],
)
def test_a_text_is_shortened_to_columns_of_a_terminal(text: str, columns: int, end: str, start: str) -> None:
    assert shorten(text, columns) == end
    assert shorten(text, columns, keep_end=True) == start
