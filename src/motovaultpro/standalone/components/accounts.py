"""The unprivileged account that PostgreSQL runs under when we are root, which it refuses to be."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from motovaultpro.standalone.components.errors import ComponentError

ACCOUNT = "motovault"
FALLBACKS = ("postgres", "nobody")
_SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    user: int
    group: int


def server_account(existing: Path) -> Account | None:
    """The account for a server whose files are in `existing`; None where our own will do. Creates it if need be."""
    if os.getuid() != 0:
        return None
    return known_account(existing) or _create() or _fallback()


def known_account(existing: Path) -> Account | None:
    """The account that root would use if it is there.

    Files that are there already decide, so that an account created later does not lock us out of them.
    """
    if existing.exists() and existing.stat().st_uid != 0:
        return _by_id(existing.stat().st_uid)
    return _by_name(ACCOUNT)


def own_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def can(account: Account | None, test: str, path: Path) -> bool:
    """Asks the kernel, as the account: `test` is a letter of test(1), such as `x` or `w`.

    Computing it from mode bits would be wrong where access control lists are.
    """
    command = [_SHELL, "-c", f'test -{test} "$1"', _SHELL, str(path)]
    if account is None:
        return subprocess.run(command, check=False).returncode == 0
    return (
        subprocess.run(
            command, check=False, user=account.user, group=account.group, extra_groups=[], cwd="/"
        ).returncode
        == 0
    )


def require_reachable(account: Account | None, directory: Path) -> None:
    """Refuses a directory below one that the account may not enter. We never change permissions of others' directories."""
    for step in [*reversed(directory.parents), directory]:
        if not can(account, "x", step):
            who = account.name if account else own_name()
            raise ComponentError(
                f"PostgreSQL runs as the account {who!r}, which may not enter {step}. Choose another place with "
                f"--data-dir (for root: /var/lib/motovaultpro), or allow it yourself: setfacl -m u:{who}:x {step}"
            )


def _by_name(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _by_id(user: int) -> Account:
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        raise ComponentError(
            f"The PostgreSQL files belong to the user id {user}, which has no account on this machine. "
            f"Create one: useradd --system --uid {user} {ACCOUNT}"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> Account | None:
    useradd = shutil.which("useradd")
    if useradd is None:
        return None
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    # Two starts may race: whoever loses finds the account of the other.
    subprocess.run(command, check=False, capture_output=True)
    return _by_name(ACCOUNT)


def _fallback() -> Account:
    for name in FALLBACKS:
        if (account := _by_name(name)) is not None:
            return account
    raise ComponentError(
        f"PostgreSQL refuses to run as root and there is no other account: useradd --system {ACCOUNT}"
    )
