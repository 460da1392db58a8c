"""Ports on the loopback interface."""

import errno
import secrets
import socket
from collections.abc import Iterable

import psutil

from motovaultpro.standalone.components.errors import ComponentError, PortTakenError

LOOPBACK = "127.0.0.1"
# Below the ephemeral range of Linux and macOS: no outgoing connection takes a port while its server restarts.
_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    return _bind_error(port, host) is None


def free_port(avoid: Iterable[int] = ()) -> int:
    """A port nobody listens on. Not from `random`: test runs seed that alike in every process."""
    taken = set(avoid)
    for _ in range(_ATTEMPTS):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if port not in taken and is_free(port):
            return port
    raise ComponentError(f"No free port between {_FIRST} and {_LAST} on {LOOPBACK}.")


def require_free(port: int, host: str = LOOPBACK) -> None:
    """Raises `PortTakenError`, which says why or who has it."""
    error = _bind_error(port, host)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise PortTakenError(
            f"Port {port} is taken by {holder(port)}. Stop that, or choose another with --port."
        )
    raise PortTakenError(f"Port {port} cannot be opened on {host}: {error.strerror}.")


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                process = psutil.Process(connection.pid) if connection.pid else None
                return f"{process.name()} (process {process.pid})" if process else "another user"
    except psutil.Error:  # macOS asks for root
        pass
    return "a process that this user may not see"


def _bind_error(port: int, host: str) -> OSError | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError as error:
            return error
    return None
