"""Cross-site request forgery: unsafe requests signed in by what browsers send unasked must come from our own pages.

The cookie is `SameSite=Lax` already, a Basic login is not; this also stops sibling sub-domains and old browsers. The
rules are those of Go's `http.CrossOriginProtection`: no token, hence nothing to forget in a form.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from motovaultpro.core.errors import ForbiddenError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
DEFAULT_PORTS = {"http": 80, "https": 443}


class CrossSiteError(ForbiddenError):
    code = "cross_site"


def check_same_origin(method: str, headers: Mapping[str, str], public_url: str) -> None:
    """Raise `CrossSiteError` for an unsafe request that another site's page made.

    Call it for requests signed in by cookie or Basic only. `headers` has lower-case names or ignores case.
    A request with neither `Sec-Fetch-Site` nor `Origin` passes: every browser sends at least one
    with an unsafe method, so it comes from a script, whose cookie nobody else can make it send.
    """
    if method.upper() in SAFE_METHODS:
        return
    fetch_site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if fetch_site in {"same-origin", "none"} or (fetch_site is None and origin is None):
        return
    source = _origin(origin or "")
    if source is not None and source == _origin(public_url):
        return
    # Browsers leave Sec-Fetch-Site out over plain http; at home the address typed is often not
    # public_url but a LAN address: then the page's own host is the host it talks to.
    if source is not None and fetch_site is None and source == _host(headers, scheme=source[0]):
        return
    raise CrossSiteError("This request came from another site. Send it from our own pages.")


def _host(headers: Mapping[str, str], *, scheme: str) -> tuple[str, str, int] | None:
    return _origin(f"{scheme}://{headers.get('host', '')}")


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; `None` for what is no http origin (`null`, garbage)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]
