import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from motovaultpro.core.security.sealed import SealBrokenError, Sealer

SECRET = SecretStr("s" * 32)
SEALER = Sealer(SECRET, "test")


@given(st.binary(), st.text(alphabet=st.characters(codec="utf-8")))
def test_what_was_sealed_opens_in_its_context(plain: bytes, context: str) -> None:
    assert SEALER.unseal(SEALER.seal(plain, context=context), context=context) == plain


def test_the_same_text_is_never_sealed_alike() -> None:
    assert SEALER.seal(b"x", context="a") != SEALER.seal(b"x", context="a")


@pytest.mark.parametrize(
    ("sealer", "context"),
    [
        (Sealer(SecretStr("t" * 32), "test"), "row 1"),
        (Sealer(SECRET, "another purpose"), "row 1"),
        (SEALER, "row 2"),
    ],
    ids=["another secret key", "another purpose", "another context"],
)
def test_nothing_else_opens_it(sealer: Sealer, context: str) -> None:
    sealed = SEALER.seal(b"private", context="row 1")

    with pytest.raises(SealBrokenError):
        sealer.unseal(sealed, context=context)


@given(st.binary(max_size=64))
def test_garbage_does_not_open(garbage: bytes) -> None:
    with pytest.raises(SealBrokenError):
        SEALER.unseal(garbage, context="")


def test_a_damaged_value_does_not_open() -> None:
    sealed = SEALER.seal(b"private", context="")

    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(SealBrokenError):
            SEALER.unseal(bytes(damaged), context="")
