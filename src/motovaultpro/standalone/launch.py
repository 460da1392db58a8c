"""Prepares a fresh process, then becomes the program: run by path, with nothing of ours imported.

Linux delivers PR_SET_PDEATHSIG when the *thread* that forked ends, and clears it on a change of user. So the
supervisor forks in its main thread, and this program changes the user first. Elsewhere the setting does not
exist; there the next start finds what is left through `run/state.json`.
"""

import ctypes
import json
import os
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
PARENT_IS_GONE = 111


def launch(order: dict[str, Any], argv: list[str]) -> None:  # pragma: no cover - ends in exec
    """`order`: parent (pid), death_signal, user and group (ids or null), inherit, environment (null unsets)."""
    os.umask(0o077)
    if order["user"] is not None:
        os.setgroups([])
        os.setgid(order["group"])
        os.setuid(order["user"])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, order["death_signal"])
        if os.getppid() != order["parent"]:  # it died before the line above
            sys.exit(PARENT_IS_GONE)
    if not order["inherit"]:
        os.execve(argv[0], argv, order["environment"])
    for name, value in order["environment"].items():
        if value is None:
            os.unsetenv(name)
        else:
            os.putenv(name, value)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    launch(json.loads(sys.argv[1]), sys.argv[2:])
