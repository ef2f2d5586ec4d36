"""Text is stored without characters that nobody sees, and with those that writing needs."""

import pytest

from app.domain.text import normal_text, shown, without_format_characters

ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("plain", "plain"),
        ("photo\u202egnp", "photognp"),
        ("\u2066a\u2069\u200eb\u200f\u061c", "ab"),
        ("zero\u200bwidth\u2060\ufeff", "zerowidth"),
        ("soft\u00adhyphen", "softhyphen"),
        ("se\u200da", "sea"),
        ("\u200dé\u200c", "é"),
        ("a\u200d\u202eb", "ab"),
        ("é\u200d\u200d\u200dé", "é\u200dé"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u0600١ \u06dd٢", "\u0600١ \u06dd٢"),
        (f"{ENGLAND} coast", f"{ENGLAND} coast"),
        ("hidden\U000e0068\U000e0069", "hidden"),
        ("\U0001f3f4\U000e0068", "\U0001f3f4"),
        ("\ufff9a\ufffab\ufffb", "ab"),
    ],
)
def test_invisible_format_characters_are_removed(given: str, kept: str) -> None:
    assert without_format_characters(given) == kept
    assert normal_text(given) == kept
    assert shown(given) == kept


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),
        (" two\r\nlines\u2028and\ttabs ", "two lines and tabs"),
        ("\u200b \u200b", ""),
    ],
)
def test_stored_text_is_one_line_in_nfc(given: str, stored: str) -> None:
    assert normal_text(given) == stored


def test_shown_text_has_no_control_characters_and_no_surrogates() -> None:
    assert shown("a\0b\x1b[0m\ud800\u2028c") == "ab[0mc"


def test_long_text_takes_no_long_time() -> None:
    assert without_format_characters("\u200d" * 100_000) == ""
    assert without_format_characters("\U0001f3f4\U000e0067" * 50_000) == "\U0001f3f4" * 50_000
    assert len(without_format_characters("é\u200d" * 50_000)) == 99_999
