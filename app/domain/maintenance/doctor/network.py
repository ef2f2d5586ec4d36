"""Check of the public address: a request through the proxies to the service itself."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

from app.domain.maintenance.doctor.findings import Problem, error

_SECONDS = 5
_MOST_READ = 64 * 1024
#: Codes with which the service refuses a request of this kind.
_OWN_REFUSALS = frozenset({"key_missing", "rate_limited"})
#: Codes with which it refuses requests for a host that is not its own.
_FOREIGN = frozenset({"foreign_host", "foreign_origin", "bad_request_head"})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""


def check_public_url(public_url: str) -> Iterator[Problem]:
    """Check that the service answers at its public address. Proxies of the environment are not used."""
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{public_url}/limits", timeout=_SECONDS) as answer:
            status, body = answer.status, answer.read(_MOST_READ)
    except urllib.error.HTTPError as refused:
        with refused:
            status, body = refused.code, refused.read(_MOST_READ)
    except (OSError, ValueError) as failed:
        cause = getattr(failed, "reason", failed)
        reason = str(getattr(cause, "strerror", None) or cause).lower()
        yield Problem(
            "public_url_unreachable",
            f"no answer at {public_url} from this machine ({reason})",
            "start the service, or check the name, the proxy and the firewall",
        )
        return
    code = _problem_code(body)
    if code in _FOREIGN:
        yield error(
            "public_url_refused",
            f"{public_url} refuses requests ({status} {code})",
            "have the proxy send Host or X-Forwarded-Host, and list it in DARKROOM_TRUSTED_PROXIES",
        )
    elif code not in _OWN_REFUSALS and not (status == 200 and "max_upload_bytes" in _json(body)):
        yield error(
            "public_url_elsewhere",
            f"{public_url}/limits answers {status}, not as Darkroom does",
            "check DARKROOM_PUBLIC_URL, its path, and the rules of the proxy",
        )


def _problem_code(body: bytes) -> str | None:
    found = _json(body)
    return str(found["code"]) if "code" in found else None


def _json(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
