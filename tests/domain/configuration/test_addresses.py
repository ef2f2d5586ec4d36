"""Addresses that people set become what browsers say, or are refused with a sentence."""

import pytest

from app.domain.configuration.addresses import address_of, origin_of

#: As it is typed, and as a browser's `Origin` says it.
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
    ("http://[::1]:3000", "http://[::1]:3000"),
    ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://Bücher.example:8443", "https://xn--bcher-kva.example:8443"),
]
#: What is neither an origin nor an address, and what is said of it.
NEITHER = [
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
    ("https://bücher%2e.example", "characters"),
    ("https://büch er.example", "characters"),
]


@pytest.mark.parametrize(("given", "said"), ORIGINS)
def test_an_origin_is_what_a_browser_says(given: str, said: str) -> None:
    assert origin_of(given) == address_of(given) == said
    assert origin_of(said) == said


@pytest.mark.parametrize("read", [origin_of, address_of], ids=lambda function: function.__name__)
@pytest.mark.parametrize(("given", "said"), NEITHER)
def test_what_is_no_address_is_refused_and_not_repeated(read: type[str], given: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has) ") as refusal:
        read(given)
    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("given", ["https://example.org/images", "https://example.org//", "https://example.org/."])
def test_an_origin_has_no_path(given: str) -> None:
    with pytest.raises(ValueError, match="without a path"):
        origin_of(given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Example.org:443/Images/", "https://example.org/Images"),
        ("https://example.org/images", "https://example.org/images"),
        ("https://example.org/a%20b/c", "https://example.org/a%20b/c"),
    ],
)
def test_an_address_keeps_its_path_to_which_others_are_appended(given: str, kept: str) -> None:
    assert address_of(given) == kept


@pytest.mark.parametrize("given", ["https://example.org//evil", "https://example.org/a/../b", "https://example.org/."])
def test_a_path_to_append_to_has_whole_segments(given: str) -> None:
    with pytest.raises(ValueError, match="empty segment"):
        address_of(given)


@pytest.mark.parametrize("given", ["https://example.org/[a]", "https://example.org/<a>", 'https://example.org/"'])
def test_a_path_is_encoded_already(given: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        address_of(given)
