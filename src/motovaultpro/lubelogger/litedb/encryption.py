"""Password files: a salt page in front, then every page AES-256-ECB."""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from motovaultpro.lubelogger.litedb.errors import WrongPasswordError
from motovaultpro.lubelogger.litedb.pages import PAGE_SIZE

ENCRYPTED: Final = 1
SALT: Final = slice(1, 17)
CHECK: Final = slice(32, 64)
CHECK_TEXT: Final = bytes([1]) * 32
BLOCK_SIZE: Final = 16
ROUNDS: Final = 1000


def is_encrypted(data: bytes) -> bool:
    """Whether a *data* file begins with a salt page, which is zero after its first 64 bytes.

    Nothing tells an encrypted log from a plain one whose first page is number 1.
    """
    rest = data[64:PAGE_SIZE]
    return data[:1] == bytes([ENCRYPTED]) and rest.count(0) * 10 > len(rest) * 9


def decrypt(data: bytes, password: str) -> bytes:
    """The pages behind the salt page; an incomplete last page is left out."""
    # Why replace: a password from a command line may hold bytes that are not text.
    secret = password.encode("utf-8", "replace")
    key = hashlib.pbkdf2_hmac("sha1", secret, data[SALT], ROUNDS, dklen=32)
    # ECB is what the file format uses; nothing is encrypted here.
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - see above
    if not hmac.compare_digest(cipher.decryptor().update(data[CHECK]), CHECK_TEXT):
        raise WrongPasswordError("the password does not open this LiteDB file")
    end = len(data) - len(data) % PAGE_SIZE
    pages = bytearray(cipher.decryptor().update(data[PAGE_SIZE:end]))
    for offset in range(0, len(pages), PAGE_SIZE):
        # A page that was allocated but never written is zero before decryption.
        if not any(data[PAGE_SIZE + offset : PAGE_SIZE + offset + BLOCK_SIZE]):
            pages[offset : offset + PAGE_SIZE] = bytes(PAGE_SIZE)
    return bytes(pages)
