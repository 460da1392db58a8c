"""Opaque tokens: session ids, API keys, refresh, reset and set-up tokens.

A token is shown once and stored as its hash. It carries 256 random bits, so there is nothing to
guess: a plain SHA-256 is as strong as a salted slow hash, and lets the row be found by its hash.
"""

import hashlib
import secrets

TOKEN_BYTES = 32


def new_token(prefix: str) -> str:
    """`prefix` tells people and secret scanners what they found: `mvk_...` is an API key."""
    return f"{prefix}_{secrets.token_urlsafe(TOKEN_BYTES)}"


def token_hash(token: str) -> bytes:
    """The SHA-256 of the token, 32 bytes.

    An imported API key of LubeLogger (32 hex characters, stored as the SHA-256 hex of their text)
    is found by it as well: store `bytes.fromhex(...)` of LubeLogger's value.
    """
    # surrogatepass: what a client sends need not be valid Unicode, and must not raise.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
