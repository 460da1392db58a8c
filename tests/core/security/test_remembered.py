import pickle
from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from motovaultpro.core.security.remembered import ENTRIES, RememberedCredentials


def test_recalls_the_user_of_the_same_credentials_only() -> None:
    remembered = RememberedCredentials()
    remembered.remember(7, "basic", "ada", "secret", "$argon2id$1")

    assert remembered.recall("basic", "ada", "secret", "$argon2id$1") == 7
    assert remembered.recall("basic", "ada", "Secret", "$argon2id$1") is None
    assert remembered.recall("login", "ada", "secret", "$argon2id$1") is None
    assert remembered.recall("basic", "ada", "secret", "$argon2id$2") is None


@given(st.lists(st.text()), st.lists(st.text()))
def test_parts_cannot_be_cut_differently(parts: list[str], others: list[str]) -> None:
    assume(parts != others)
    remembered = RememberedCredentials()
    remembered.remember(1, "basic", *parts)

    assert remembered.recall("basic", *parts) == 1
    assert remembered.recall("basic", *others) is None


def test_forgets_all_credentials_of_one_user() -> None:
    remembered = RememberedCredentials()
    remembered.remember(1, "basic", "ada", "old")
    remembered.remember(1, "basic", "ada@example.org", "old")
    remembered.remember(2, "basic", "bob", "his")

    remembered.forget(1)

    assert remembered.recall("basic", "ada", "old") is None
    assert remembered.recall("basic", "ada@example.org", "old") is None
    assert remembered.recall("basic", "bob", "his") == 2


def test_forgets_after_the_lifetime() -> None:
    now = 0.0
    remembered = RememberedCredentials(timedelta(minutes=5), timer=lambda: now)
    remembered.remember(1, "basic", "ada", "secret")

    now = 299
    assert remembered.recall("basic", "ada", "secret") == 1
    now = 300
    assert remembered.recall("basic", "ada", "secret") is None


def test_remembers_a_bounded_number() -> None:
    remembered = RememberedCredentials()
    for user_id in range(ENTRIES + 1):
        remembered.remember(user_id, "basic", str(user_id))

    assert remembered.recall("basic", "0") is None
    assert remembered.recall("basic", str(ENTRIES)) == ENTRIES


def test_two_processes_do_not_share_digests_and_none_holds_the_password() -> None:
    first, second = RememberedCredentials(timer=float), RememberedCredentials(timer=float)
    for remembered in (first, second):
        remembered.remember(1, "basic", "ada", "correct horse")

    assert set(first._users).isdisjoint(second._users)
    assert b"correct horse" not in pickle.dumps(dict(first._users))
