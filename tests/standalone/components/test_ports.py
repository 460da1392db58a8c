import socket
from collections.abc import Iterator

import pytest

from motovaultpro.standalone.components import ports
from motovaultpro.standalone.components.errors import ComponentError, PortTakenError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_knows_free_from_taken(taken: int) -> None:
    assert not ports.is_free(taken)
    ports.require_free(ports.free_port())


def test_a_free_port_is_below_the_ephemeral_range() -> None:
    assert 20_000 <= ports.free_port() < 32_000


def test_gives_up_when_all_are_to_be_avoided() -> None:
    with pytest.raises(ComponentError, match="No free port"):
        ports.free_port(range(20_000, 32_000))


def test_an_address_of_another_machine_is_no_holder() -> None:
    with pytest.raises(PortTakenError, match=r"Port 8080 cannot be opened on 192\.0\.2\.77"):
        ports.require_free(8080, "192.0.2.77")


def test_nobody_holds_a_free_port() -> None:
    assert ports.holder(ports.free_port()) == "a process that this user may not see"
