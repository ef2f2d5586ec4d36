"""Urls that users name, and the hosts that images may be fetched from."""

import pytest

from app.domain.delivery.targets import FetchHosts, Target
from app.domain.errors import Refused


@pytest.mark.parametrize(
    ("url", "authority", "request_target"),
    [
        ("https://www.example.org", "www.example.org", "/"),
        ("HTTPS://WWW.Example.ORG:443/A.jpg?x=1#part", "www.example.org", "/A.jpg?x=1"),
        ("https://example.org:8443/a", "example.org:8443", "/a"),
        ("https://example.org?to=a@b", "example.org", "/?to=a@b"),
        ("https://example.org/@ann/a.jpg", "example.org", "/@ann/a.jpg"),
        ("https://example.org./a", "example.org", "/a"),
        ("https://bücher.example/ä.jpg?q=ö", "xn--bcher-kva.example", "/%C3%A4.jpg?q=%C3%B6"),
        ("https://[2001:4860::8]:8443/a", "[2001:4860::8]:8443", "/a"),
        ("https://2130706433/", "127.0.0.1", "/"),
        ("https://0x7f.1/", "127.0.0.1", "/"),
    ],
)
def test_urls_are_read_as_browsers_read_them(url: str, authority: str, request_target: str) -> None:
    target = Target.parse(url)
    assert (target.authority, target.request_target) == (authority, request_target)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "scheme"),
        ("www.example.org/a.jpg", "scheme"),
        ("http://example.org/", "scheme"),
        ("ftp://example.org/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https:example.org", "scheme"),
        ("gopher://example.org/", "scheme"),
        ("https://", "url"),
        ("https:///a.jpg", "url"),
        ("https://?a", "url"),
        ("https://exa mple.org/", "url"),
        ("https://example.org/\r\nHost: a", "url"),
        ("https://example.org\\@10.0.0.1/", "url"),
        ("https://ann@example.org/", "url"),
        ("https://ann:s3cret@example.org/", "url"),
        ("https://@example.org/", "url"),
        ("https://a..b/", "url"),
        ("https://*/", "url"),
        ("https://example.org:99999/", "url"),
        ("https://example.org:0/", "port"),
        ("https://example.org:22/", "port"),
        ("https://example.org:25/", "port"),
        ("https://example.org/" + "a" * 2048, "url"),
        (f"https://{'a' * 64}.example.org/", "url"),
        (f"https://{'.'.join(['a' * 50] * 5)}/", "url"),
    ],
)
def test_urls_that_are_refused(url: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        Target.parse(url)
    assert refused.value.reason == reason
    assert "s3cret" not in refused.value.detail


def test_the_longest_names_are_accepted() -> None:
    for host in (f"{'a' * 63}.example.org", ".".join(["a" * 49] * 5) + ".abc"):
        assert Target.parse(f"https://{host}/").host == host


def test_http_is_accepted_if_it_is_allowed() -> None:
    assert str(Target.parse("http://nas.local/a?b", allow_http=True)) == "http://nas.local/a?b"


def test_a_stored_url_has_no_query() -> None:
    url = "https://example.org:8443/a/b.jpg?X-Amz-Signature=secret#c"
    assert Target.parse(url).without_query == "https://example.org:8443/a/b.jpg"


@pytest.mark.parametrize(
    ("patterns", "host", "is_listed"),
    [
        ((), "example.org", False),
        (("*",), "example.org", True),
        (("*",), "10.0.0.1", True),
        (("example.org",), "example.org", True),
        (("example.org",), "www.example.org", False),
        (("*.example.org",), "www.example.org", True),
        (("*.example.org",), "example.org", False),
        (("*.example.org",), "badexample.org", False),
        ((".example.org",), "example.org", True),
        ((".example.org",), "a.b.example.org", True),
        (("8.8.8.8", "2001:4860:0::8"), "2001:4860::8", True),
        (("*.8.8",), "8.8.8.8", False),
    ],
)
def test_lists_of_hosts(patterns: tuple[str, ...], host: str, is_listed: bool) -> None:
    hosts = FetchHosts(patterns)
    assert (host in hosts) is is_listed
    assert hosts.is_empty is (not patterns)
