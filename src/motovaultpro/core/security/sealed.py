"""Secrets at rest: AES-256-GCM under a key derived from `settings.security.secret_key`."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

KEY_BYTES = 32
NONCE_BYTES = 12


class SealBrokenError(Exception):
    """Sealed under another secret key, for another purpose or context, or damaged."""


class Sealer:
    """Seals for one purpose; what another purpose sealed does not open.

    Sealed form: nonce (12 bytes), ciphertext, tag (16 bytes). `context` is authenticated, not
    stored: name the row, so that a sealed value copied into another row does not open there.
    """

    def __init__(self, secret_key: SecretStr, purpose: str) -> None:
        # HKDF stretches nothing: settings demand a long random secret key.
        derivation = HKDF(
            algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"motovaultpro {purpose}".encode()
        )
        self._cipher = AESGCM(derivation.derive(secret_key.get_secret_value().encode()))

    def seal(self, plain: bytes, *, context: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def unseal(self, sealed: bytes, *, context: str) -> bytes:
        """Raises `SealBrokenError`."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, context.encode())
        except (InvalidTag, ValueError):  # ValueError: the nonce is cut off
            raise SealBrokenError("The sealed value does not open with this secret key.") from None
