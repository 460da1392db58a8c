"""Which credentials a request carries. Nothing is verified here.

The first that is present counts, and only that: `Authorization`, the session cookie, the header
`x-api-key`, the query parameter `apiKey`. A wrong `Authorization` header is an error, never a
reason to look further: else a stale password would silently act as somebody's cookie.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from motovaultpro.core.errors import UnauthorizedError

SESSION_COOKIE = "mv_session"
API_KEY_HEADER = "x-api-key"
API_KEY_PARAMETER = "apikey"
BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # RFC 7617 bans them; PostgreSQL has no text with NUL


@dataclass(frozen=True, slots=True)
class BearerToken:
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BasicLogin:
    user_name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionCookie:
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    key: str = field(repr=False)


Credentials = BearerToken | BasicLogin | SessionCookie | ApiKey


def extract(
    headers: Mapping[str, str], cookies: Mapping[str, str], query: Mapping[str, str]
) -> Credentials | None:
    """The credentials of a request; `None` where it carries none.

    `headers` has lower-case names or ignores case. `?apiKey=` is there for LubeLogger's calendar
    links and scripts, with any method and any case of its name. A key in a URL ends up in browser
    histories and in the logs of proxies; our own logs redact it.
    """
    authorization = headers.get("authorization")
    if authorization is not None:
        return _parse_authorization(authorization)
    if session := cookies.get(SESSION_COOKIE, "").strip():
        return SessionCookie(session)
    if key := headers.get(API_KEY_HEADER, "").strip():
        return ApiKey(key)
    for name, value in query.items():
        if name.lower() == API_KEY_PARAMETER and (key := value.strip()):
            return ApiKey(key)
    return None


def _parse_authorization(value: str) -> BearerToken | BasicLogin:
    scheme, _, rest = value.strip().partition(" ")
    rest = rest.strip()
    match scheme.lower():
        case "bearer" if BEARER_TOKEN.fullmatch(rest):
            return BearerToken(rest)
        case "basic":
            return _parse_basic(rest)
        case _:
            raise UnauthorizedError(
                "The Authorization header is not a Bearer token or Basic login."
            )


def _parse_basic(encoded: str) -> BasicLogin:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise UnauthorizedError("The Basic login is not valid base64.") from None
    try:
        text = decoded.decode("utf-8")
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")  # what older HTTP libraries send
    # The first colon only: passwords may contain more, user names none (RFC 7617).
    user_name, colon, password = text.partition(":")
    if not colon or CONTROL.search(user_name):
        raise UnauthorizedError("The Basic login is not 'user name:password'.")
    return BasicLogin(user_name, password)
