"""Display names keep what a person wrote and nothing that a machine obeys."""

import pytest

from app.domain.uploads.filenames import MAX_BYTES, attachment, display_name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\x\\photo.png", "photo.png"),
        ("/abs/olute.gif", "olute.gif"),
        ("a.jpg/", "a.jpg"),
        ("a.png\r\nSet-Cookie: x=1", "a.pngSet-Cookie: x=1"),
        ("nul\0byte.jpg", "nulbyte.jpg"),
        ("tab\there\x7f.jpg", "tabhere.jpg"),
        ('quo"te;d.jpg', 'quo"te;d.jpg'),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("zero\u200bwidth\ufeff.jpg", "zerowidth.jpg"),
        ("e\u0301te\u0301.jpg", "été.jpg"),
        ("АгатавЗоопарке.jpg", "АгатавЗоопарке.jpg"),
        ("👩\u200d👩\u200d👧.heic", "👩\u200d👩\u200d👧.heic"),
        ("lone\ud800.jpg", "lone.jpg"),
        ("new \U0001fae8 and unknown \u0378.jpg", "new \U0001fae8 and unknown \u0378.jpg"),  # in any version of Unicode
        ("private \ue000 and none \ufffe\ufdd0\U0010ffff.jpg", "private  and none .jpg"),
        ("%2e%2e%2fx.jpg", "%2e%2e%2fx.jpg"),
        ("  spaced .jpg ", "spaced .jpg"),
        (".htaccess", ".htaccess"),
    ],
)
def test_names_are_cleaned(given: str, shown: str) -> None:
    assert display_name(given) == shown


@pytest.mark.parametrize("given", [None, "", ".", "..", "/", "\\", "\0", "\u202e", " . ", "../.."])
def test_texts_without_a_name_are_none(given: str | None) -> None:
    assert display_name(given) is None


@pytest.mark.parametrize("given", ["x" * 5000 + ".jpg", "😀" * 300 + ".heic", "é" * 200, "x." + "y" * 5000])
def test_long_names_are_cut_between_characters(given: str) -> None:
    shown = display_name(given)
    assert shown is not None
    assert 200 < len(shown.encode()) <= MAX_BYTES
    assert shown.endswith(given[-5:]) or "." not in given[-16:]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (None, "attachment"),
        ("a.jpg", 'attachment; filename="a.jpg"'),
        ('a"b;c\\d.jpg', "attachment; filename=\"a_b_c_d.jpg\"; filename*=UTF-8''a%22b%3Bc%5Cd.jpg"),
        ("été 1.jpg", "attachment; filename=\"_t_ 1.jpg\"; filename*=UTF-8''%C3%A9t%C3%A9%201.jpg"),
    ],
)
def test_a_download_is_named_in_a_header_that_no_name_can_break(name: str | None, header: str) -> None:
    assert attachment(name) == header
