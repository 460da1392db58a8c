import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey
from pydantic import SecretStr
from structlog.testing import capture_logs

from motovaultpro.core.errors import UnauthorizedError, UnavailableError
from motovaultpro.core.security.actor import Role
from motovaultpro.core.security.jwt import KeyRing, SigningKey, new_signing_key

SECRET = SecretStr("s" * 32)
LIFETIME = timedelta(days=30)
TOKEN_LIFETIME = timedelta(minutes=15)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TENANT = UUID("8d0f4c1e-0c7f-4f3f-9d55-1f0f5d1c2b3a")


class Moment:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def moment() -> Moment:
    return Moment()


def make_key(moment: Moment) -> SigningKey:
    return new_signing_key(moment, LIFETIME, SECRET, token_lifetime=TOKEN_LIFETIME)


def make_ring(moment: Moment, *keys: SigningKey, **changes: Any) -> KeyRing:
    defaults: dict[str, Any] = {
        "secret_key": SECRET,
        "issuer": "https://x",
        "token_lifetime": TOKEN_LIFETIME,
    }
    return KeyRing(keys, moment, **(defaults | changes))


def issue(ring: KeyRing) -> str:
    return ring.issue(user_id=7, tenant_id=TENANT, role=Role.MEMBER, session_id=12)


def kid_of(token: str) -> object:
    return jws.extract_compact(token.encode()).headers()["kid"]


def assert_refused(ring: KeyRing, token: str) -> None:
    with pytest.raises(UnauthorizedError):
        ring.verify(token)


def test_reads_back_what_it_issued(moment: Moment) -> None:
    ring = make_ring(moment, make_key(moment))

    claims = ring.verify(issue(ring))

    assert (claims.user_id, claims.tenant_id, claims.role) == (7, TENANT, Role.MEMBER)
    assert claims.session_id == 12
    assert (claims.issued_at, claims.expires_at) == (START, START + TOKEN_LIFETIME)
    assert claims.token_id != ring.verify(issue(ring)).token_id


def test_a_token_ends_with_its_lifetime(moment: Moment) -> None:
    ring = make_ring(moment, make_key(moment))
    token = issue(ring)

    moment.now += TOKEN_LIFETIME
    ring.verify(token)  # the leeway for clocks that differ
    moment.now += timedelta(seconds=5)
    assert_refused(ring, token)


def test_a_token_from_the_future_is_refused(moment: Moment) -> None:
    ring = make_ring(moment, make_key(moment))
    token = issue(ring)

    moment.now -= timedelta(seconds=5)
    ring.verify(token)
    moment.now -= timedelta(seconds=1)
    assert_refused(ring, token)


def test_a_new_key_signs_once_other_replicas_know_it(moment: Moment) -> None:
    old = make_key(moment)
    moment.now += LIFETIME
    new = make_key(moment)
    ring = make_ring(moment, new, old)

    assert kid_of(issue(ring)) == old.kid
    moment.now += timedelta(minutes=2)
    assert kid_of(issue(ring)) == new.kid


def test_an_old_key_still_verifies_then_retires(moment: Moment) -> None:
    old = make_key(moment)
    moment.now += LIFETIME
    ring = make_ring(moment, old, make_key(moment))
    token = issue(ring)

    moment.now += timedelta(minutes=10)
    assert ring.verify(token).user_id == 7
    assert len(ring.public_jwks()["keys"]) == 2

    moment.now = old.retires_at
    lasting = make_ring(moment, old, make_key(moment), token_lifetime=LIFETIME)
    assert [key["kid"] for key in lasting.public_jwks()["keys"]] != [old.kid]
    assert kid_of(issue(lasting)) != old.kid


def test_a_retired_key_verifies_no_token_however_long_it_lives(moment: Moment) -> None:
    old = make_key(moment)
    token = issue(make_ring(moment, old, token_lifetime=timedelta(days=365)))
    assert make_ring(moment, old).verify(token).user_id == 7

    moment.now = old.retires_at
    assert_refused(make_ring(moment, old), token)


def test_asks_for_a_key_when_none_is_young_enough(moment: Moment) -> None:
    assert make_ring(moment).needs_key(LIFETIME)
    key = make_key(moment)
    assert not make_ring(moment, key).needs_key(LIFETIME)

    moment.now += LIFETIME
    assert make_ring(moment, key).needs_key(LIFETIME)
    assert not make_ring(moment, key, make_key(moment)).needs_key(LIFETIME)


def test_without_a_key_nothing_is_issued_or_verified(moment: Moment) -> None:
    empty = make_ring(moment)

    with pytest.raises(UnavailableError):
        issue(empty)
    assert_refused(empty, issue(make_ring(moment, make_key(moment))))


def test_keys_of_another_secret_are_left_out(moment: Moment) -> None:
    key = make_key(moment)

    with capture_logs() as logs:
        ring = make_ring(moment, key, secret_key=SecretStr("t" * 32))

    assert [(entry["event"], entry["kid"]) for entry in logs] == [
        ("signing_key_unreadable", key.kid)
    ]
    assert ring.needs_key(LIFETIME)
    assert ring.public_jwks() == {"keys": []}


def test_a_private_key_is_bound_to_its_row(moment: Moment) -> None:
    key = make_key(moment)
    moved = SigningKey("other", key.sealed, key.created_at, key.retires_at)

    assert make_ring(moment, moved).needs_key(LIFETIME)


def test_the_public_set_has_no_private_part_and_verifies(moment: Moment) -> None:
    ring = make_ring(moment, make_key(moment))
    published = ring.public_jwks()

    assert [set(key) for key in published["keys"]] == [{"kty", "crv", "x", "kid", "use", "alg"}]
    jws.deserialize_compact(issue(ring), KeySet.import_key_set(published), algorithms=["Ed25519"])


@pytest.fixture(scope="module")
def fixed() -> tuple[KeyRing, OKPKey, str]:
    """A ring, its key laid open, and the key's id: to forge tokens."""
    key = make_key(Moment())
    ring = make_ring(Moment(), key)
    return ring, ring._keys[key.kid][1], key.kid


Claims = dict[str, Any]
GOOD: Claims = {
    "iss": "https://x",
    "aud": "motovaultpro-api",
    "sub": "7",
    "tenant": str(TENANT),
    "role": "member",
    "sid": 12,
    "jti": "a",
    "iat": int(START.timestamp()),
    "exp": int(START.timestamp()) + 60,
}


def sign(key: OKPKey, key_id: str, payload: object, **header: object) -> str:
    protected = {"alg": "Ed25519", "kid": key_id, "typ": "at+jwt"} | header
    return jws.serialize_compact(protected, json.dumps(payload), key, algorithms=["Ed25519"])


def test_the_forged_good_token_is_good(fixed: tuple[KeyRing, OKPKey, str]) -> None:
    ring, key, kid = fixed

    assert ring.verify(sign(key, kid, GOOD)).user_id == 7


@pytest.mark.parametrize("missing", GOOD)
def test_every_claim_is_needed(fixed: tuple[KeyRing, OKPKey, str], missing: str) -> None:
    ring, key, kid = fixed
    claims = {name: value for name, value in GOOD.items() if name != missing}

    assert_refused(ring, sign(key, kid, claims))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://y"},
        {"aud": "another"},
        {"aud": []},
        {"sub": "ada"},
        {"sub": 7},
        {"tenant": "8d0f"},
        {"tenant": 1},
        {"role": "root"},
        {"sid": None},
        {"sid": "x"},
        {"exp": "never"},
        {"exp": float("nan")},
        {"exp": 10**30},
        {"exp": True},
        {"iat": 10**12},
        {"nbf": 10**12},
    ],
    ids=str,
)
def test_odd_claims_are_refused(fixed: tuple[KeyRing, OKPKey, str], change: Claims) -> None:
    ring, key, kid = fixed

    assert_refused(ring, sign(key, kid, GOOD | change))


@pytest.mark.parametrize("payload", [[], "x", 1, None])
def test_claims_that_are_no_object_are_refused(
    fixed: tuple[KeyRing, OKPKey, str], payload: object
) -> None:
    ring, key, kid = fixed

    assert_refused(ring, sign(key, kid, payload))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"kid": "unknown"}])
def test_other_kinds_and_unknown_keys_are_refused(
    fixed: tuple[KeyRing, OKPKey, str], header: dict[str, str]
) -> None:
    ring, key, kid = fixed

    assert_refused(ring, sign(key, kid, GOOD, **header))


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {"alg": ["Ed25519"]},
        {"alg": {}},
        {"kid": 1},
        {"kid": ["a"]},
        {"kid": None},
        {"crit": ["b64"], "b64": False},
        {"crit": ["x"]},
        {"typ": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("signed", [True, False])
def test_odd_headers_are_refused(
    fixed: tuple[KeyRing, OKPKey, str], header: dict[str, object], signed: bool
) -> None:
    ring, key, kid = fixed
    _, payload, signature = sign(key, kid, GOOD).split(".")
    protected = segment({"alg": "Ed25519", "kid": kid, "typ": "at+jwt"} | header)

    assert_refused(ring, f"{protected}.{payload}.{signature if signed else ''}")


def test_the_public_key_is_no_hmac_secret(fixed: tuple[KeyRing, OKPKey, str]) -> None:
    ring, key, kid = fixed
    signed = f"{segment({'alg': 'HS256', 'kid': kid, 'typ': 'at+jwt'})}.{segment(GOOD)}"

    for secret in (key.public_key.public_bytes_raw(), key.as_pem(private=False)):
        signature = hmac.digest(secret, signed.encode(), "sha256")
        assert_refused(ring, f"{signed}.{segment(signature)}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        "\ud800.\ud800.\ud800",
        "\x00.\x00.\x00",
        segment(b"[" * 300) + ".e30.e30",
        segment(b"[" * 5000) + ".e30.e30",
        segment(b'{"alg":' + b"9" * 400 + b"}") + ".e30.e30",
        "x" * 100_000,
    ],
    ids=range(12),
)
def test_garbage_is_refused(fixed: tuple[KeyRing, OKPKey, str], token: str) -> None:
    assert_refused(fixed[0], token)


@given(st.text())
def test_any_text_is_refused(fixed: tuple[KeyRing, OKPKey, str], token: str) -> None:
    assert_refused(fixed[0], token)


@given(st.binary(), st.binary(), st.binary())
def test_any_three_segments_are_refused(
    fixed: tuple[KeyRing, OKPKey, str], header: bytes, payload: bytes, signature: bytes
) -> None:
    assert_refused(fixed[0], ".".join(map(segment, (header, payload, signature))))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c"]), json_values
    )
)
def test_any_header_is_refused(
    fixed: tuple[KeyRing, OKPKey, str], header: dict[str, object]
) -> None:
    ring, key, kid = fixed
    _, payload, signature = sign(key, kid, GOOD).split(".")

    assert_refused(ring, f"{segment(header)}.{payload}.{signature}")


@given(st.dictionaries(st.sampled_from(list(GOOD)), json_values, min_size=1))
def test_any_signed_claims_are_read_or_refused(
    fixed: tuple[KeyRing, OKPKey, str], change: Claims
) -> None:
    ring, key, kid = fixed
    token = sign(key, kid, GOOD | change)

    try:
        claims = ring.verify(token)
    except UnauthorizedError:
        return
    assert claims.expires_at > START - timedelta(seconds=5)


@given(st.data())
def test_a_token_changed_anywhere_is_refused(
    fixed: tuple[KeyRing, OKPKey, str], data: st.DataObject
) -> None:
    ring, key, kid = fixed
    parts = [
        bytearray(base64.urlsafe_b64decode(part + "==")) for part in sign(key, kid, GOOD).split(".")
    ]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))

    assert_refused(ring, ".".join(segment(bytes(part)) for part in parts))
