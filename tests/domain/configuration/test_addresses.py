"""Addresses from settings are normalized as browsers do, or refused with a sentence."""

import pytest

from app.domain.configuration.addresses import normalize_base_url, normalize_origin

#: An address as typed, and as a browser's `Origin` header has it.
ORIGINS = [
    ("https://www.example.org", "https://www.example.org"),
    ("HTTPS://WWW.Example.org", "https://www.example.org"),
    ("https://www.example.org/", "https://www.example.org"),
    ("https://www.example.org:443", "https://www.example.org"),
    ("http://www.example.org:80/", "http://www.example.org"),
    ("https://www.example.org:80", "https://www.example.org:80"),
    ("http://www.example.org:0443", "http://www.example.org:443"),
    ("https://www.example.org:", "https://www.example.org"),
    ("http://localhost:5173", "http://localhost:5173"),
    ("http://my_app:3000", "http://my_app:3000"),
    ("http://192.168.1.7:8000", "http://192.168.1.7:8000"),
    ("http://127.1:8000", "http://127.0.0.1:8000"),
    ("http://[::1]:3000", "http://[::1]:3000"),
    ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://Bücher.example:8443", "https://xn--bcher-kva.example:8443"),
]
#: Text that is neither an origin nor a base URL, and a phrase of the refusal.
REFUSED = [
    ("", "http:// or https://"),
    ("*", "http:// or https://"),
    ("null", "http:// or https://"),
    ("www.example.org", "http:// or https://"),
    ("ftp://www.example.org", "http:// or https://"),
    ("https:www.example.org", "http:// or https://"),
    ("https://", "one host"),
    ("https:///images", "one host"),
    ("https://*.example.org", "one host"),
    ("https://www..example.org", "one host"),
    ("https://-", "one host"),
    ("https://::1", "one host"),
    ("https://[::1", "one host"),
    ("https://[::1]evil.example", "one host"),
    ("https://[1.2.3.4]", "one host"),
    ("https://[fe80::1%25eth0]", "one host"),
    ("https://www.example.org\\@evil.example", "a user"),
    ("https://www.example.org:https", "a port"),
    ("https://www.example.org:+80", "a port"),
    ("https://www.example.org:0", "a port"),
    ("https://www.example.org:65536", "a port"),
    ("https://www.example.org?", "a query"),
    ("https://www.example.org/?a=b", "a query"),
    ("https://www.example.org/#top", "a fragment"),
    ("https://ann:hunter2@www.example.org", "a password"),
    ("https://ann@www.example.org", "a user"),
    ("https://www.example.org https://b.example", "characters"),
    ("https://www.example.org\n", "characters"),
    ("https://bücher%2e.example", "one host"),
    ("https://ex%61mple.org", "one host"),
    ("https://www.example.org\\evil", "one host"),
    ("https://www.example.org.", "one host"),
    ("https://büch er.example", "characters"),
]


@pytest.mark.parametrize(("given", "expected"), ORIGINS)
def test_an_origin_is_as_a_browser_sends_it(given: str, expected: str) -> None:
    assert normalize_origin(given) == normalize_base_url(given) == expected
    assert normalize_origin(expected) == expected


@pytest.mark.parametrize("read", [normalize_origin, normalize_base_url], ids=lambda function: function.__name__)
@pytest.mark.parametrize(("given", "expected"), REFUSED)
def test_other_text_is_refused_and_not_repeated(read: type[str], given: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has) ") as refusal:
        read(given)
    assert expected in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("given", ["https://example.org/images", "https://example.org//", "https://example.org/."])
def test_an_origin_has_no_path(given: str) -> None:
    with pytest.raises(ValueError, match="without a path"):
        normalize_origin(given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Example.org:443/Images/", "https://example.org/Images"),
        ("https://example.org/images", "https://example.org/images"),
        ("https://example.org/a%20b/c", "https://example.org/a%20b/c"),
    ],
)
def test_a_base_url_keeps_its_path(given: str, kept: str) -> None:
    assert normalize_base_url(given) == kept


@pytest.mark.parametrize("given", ["https://example.org//evil", "https://example.org/a/../b", "https://example.org/."])
def test_the_path_of_a_base_url_has_whole_segments(given: str) -> None:
    with pytest.raises(ValueError, match="empty segment"):
        normalize_base_url(given)


@pytest.mark.parametrize("given", ["https://example.org/[a]", "https://example.org/<a>", 'https://example.org/"'])
def test_the_path_of_a_base_url_is_percent_encoded(given: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        normalize_base_url(given)
