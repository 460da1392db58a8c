"""Bearer access tokens: JWT signed with Ed25519, by keys that rotate.

The algorithm is named `Ed25519` (RFC 9864), which deprecates the ambiguous `EdDSA`.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, KeySetSerialization, OKPKey
from pydantic import SecretStr

from motovaultpro.core.clock import Clock
from motovaultpro.core.errors import UnauthorizedError, UnavailableError
from motovaultpro.core.security.actor import Role
from motovaultpro.core.security.sealed import SealBrokenError, Sealer

ALGORITHM = "Ed25519"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type (RFC 9068), no secret
AUDIENCE = "motovaultpro-api"
LEEWAY_SECONDS = 5
"""How far the clocks of two replicas may differ."""
SETTLING_TIME = timedelta(minutes=2)
"""A new key signs only after this, unless it is alone: replicas reload the keys more often."""
ROTATION_GRACE = timedelta(days=1)
"""A worker that was down this long still finds a key that signs."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A stored key. `sealed` is the raw private key under `Sealer`, bound to `kid`."""

    kid: str
    sealed: bytes = field(repr=False)
    created_at: datetime
    retires_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: int
    tenant_id: UUID
    role: Role
    session_id: int
    token_id: str
    issued_at: datetime
    expires_at: datetime


def new_signing_key(
    clock: Clock, lifetime: timedelta, secret_key: SecretStr, *, token_lifetime: timedelta
) -> SigningKey:
    """A key to sign with for `lifetime`, verifying until the last of its tokens has expired."""
    kid = secrets.token_hex(8)
    created_at = clock()
    return SigningKey(
        kid=kid,
        sealed=_sealer(secret_key).seal(
            Ed25519PrivateKey.generate().private_bytes_raw(), context=kid
        ),
        created_at=created_at,
        retires_at=created_at + lifetime + token_lifetime + ROTATION_GRACE,
    )


class KeyRing:
    """The keys at one moment; build another after loading the keys again.

    Keys that do not open (the secret key was changed) are left out with a warning: their tokens
    are refused, clients refresh, and `needs_key` asks for a new one.
    """

    def __init__(
        self,
        keys: Iterable[SigningKey],
        clock: Clock,
        *,
        secret_key: SecretStr,
        issuer: str,
        token_lifetime: timedelta,
    ) -> None:
        self._clock = clock
        self._issuer = issuer
        self._token_lifetime = token_lifetime
        self._keys = {
            key.kid: (key, private)
            for key in sorted(keys, key=lambda key: key.created_at)
            if (private := _open(key, _sealer(secret_key))) is not None
        }

    def needs_key(self, lifetime: timedelta) -> bool:
        """Whether it is time to add a key: there is none, or the newest has signed long enough."""
        now = self._clock()
        return all(key.created_at + lifetime <= now for key, _ in self._live())

    def public_jwks(self) -> KeySetSerialization:
        """The keys that verify, as a JSON Web Key Set without their private parts."""
        return {"keys": [private.as_dict(private=False) for _, private in self._live()]}

    def issue(self, *, user_id: int, tenant_id: UUID, role: Role, session_id: int) -> str:
        """A signed access token. Raises `UnavailableError` where no key signs."""
        kid, private = self._signer()
        issued_at = int(self._clock().timestamp())
        claims: dict[str, Any] = {  # Any: joserfc's type for claims
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "tenant": str(tenant_id),
            "role": role.value,
            "sid": session_id,
            "jti": uuid4().hex,
            "iat": issued_at,
            "exp": issued_at + int(self._token_lifetime.total_seconds()),
        }
        header = {"alg": ALGORITHM, "kid": kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims, private, algorithms=[ALGORITHM])

    def verify(self, token: str) -> Claims:
        """The claims of a token of ours. Raises `UnauthorizedError`, whatever is wrong with it."""
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": AUDIENCE},
        )
        try:
            decoded = jwt.decode(token, self._verifier, algorithms=[ALGORITHM])
            registry.validate(decoded.claims)
            return _read(decoded)
        except (JoseError, ValueError, TypeError, KeyError, OverflowError):
            raise UnauthorizedError("The access token is not valid. Sign in again.") from None

    def _live(self) -> list[tuple[SigningKey, OKPKey]]:
        """The keys not retired, oldest first."""
        now = self._clock()
        return [pair for pair in self._keys.values() if now < pair[0].retires_at]

    def _signer(self) -> tuple[str, OKPKey]:
        live = self._live()
        if not live:
            raise UnavailableError("No key signs access tokens at the moment. Try again shortly.")
        settled_before = self._clock() - SETTLING_TIME
        settled = [pair for pair in live if pair[0].created_at <= settled_before]
        key, private = settled[-1] if settled else live[0]
        return key.kid, private

    def _verifier(self, token: GuestProtocol) -> OKPKey:
        """The key a token's header names. Raises `KeyError` and `TypeError` (odd `kid`)."""
        key, private = self._keys[token.headers()["kid"]]
        if key.retires_at <= self._clock():
            raise KeyError(key.kid)
        return private


def _read(token: jwt.Token) -> Claims:
    """Raises `KeyError` for a missing claim: all are needed."""
    if token.header["typ"] != TOKEN_TYPE:
        raise ValueError("not an access token")
    claims = token.claims
    return Claims(
        user_id=int(claims["sub"]),
        tenant_id=UUID(str(claims["tenant"])),
        role=Role(claims["role"]),
        session_id=int(claims["sid"]),
        token_id=claims["jti"],
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _sealer(secret_key: SecretStr) -> Sealer:
    return Sealer(secret_key, "token signing key")


def _open(key: SigningKey, sealer: Sealer) -> OKPKey | None:
    try:
        raw = sealer.unseal(key.sealed, context=key.kid)
    except SealBrokenError:
        log.warning("signing_key_unreadable", kid=key.kid)
        return None
    return OKPKey.import_key(
        Ed25519PrivateKey.from_private_bytes(raw),
        {"kid": key.kid, "use": "sig", "alg": ALGORITHM},
    )
