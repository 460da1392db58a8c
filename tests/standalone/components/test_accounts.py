import os
from pathlib import Path

import pytest

from motovaultpro.standalone.components import accounts
from motovaultpro.standalone.components.errors import ComponentError

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root changes accounts")


def test_our_own_account_can_what_we_can(tmp_path: Path) -> None:
    assert accounts.can(None, "w", tmp_path)
    assert not accounts.can(None, "x", tmp_path / "absent")


@pytest.mark.skipif(os.getuid() == 0, reason="root has to change the account")
def test_a_user_needs_no_other_account(tmp_path: Path) -> None:
    assert accounts.server_account(tmp_path) is None


@as_root
def test_the_owner_of_the_files_decides(tmp_path: Path) -> None:
    nobody = accounts.known_account(Path("/nowhere"))
    assert nobody is not None
    os.chown(tmp_path, nobody.user, nobody.group)
    assert accounts.server_account(tmp_path) == nobody


@as_root
def test_files_of_an_account_that_is_gone_are_explained(tmp_path: Path) -> None:
    os.chown(tmp_path, 61_234, 61_234)
    with pytest.raises(ComponentError, match="useradd --system --uid 61234"):
        accounts.server_account(tmp_path)


@as_root
def test_takes_an_existing_account_where_none_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "ACCOUNT", "motovault-absent")
    monkeypatch.setenv("PATH", "")  # no useradd
    account = accounts.server_account(Path("/nowhere"))
    assert account is not None
    assert account.name in accounts.FALLBACKS
    monkeypatch.setattr(accounts, "FALLBACKS", ())
    with pytest.raises(ComponentError, match="refuses to run as root"):
        accounts.server_account(Path("/nowhere"))
