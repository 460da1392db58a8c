import hashlib
import re

from motovaultpro.core.security.opaque import new_token, token_hash


def test_a_token_is_its_prefix_and_256_random_url_safe_bits() -> None:
    tokens = {new_token("mvk") for _ in range(100)}

    assert len(tokens) == 100
    assert all(re.fullmatch(r"mvk_[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_a_key_imported_from_lubelogger_is_found_by_its_stored_hash() -> None:
    key = "0123456789abcdef0123456789abcdef"
    stored_by_lubelogger = hashlib.sha256(key.encode()).hexdigest()

    assert token_hash(key) == bytes.fromhex(stored_by_lubelogger)


def test_any_text_a_client_sends_has_a_hash() -> None:
    assert token_hash("\ud800\x00é") != token_hash("\x00é")
