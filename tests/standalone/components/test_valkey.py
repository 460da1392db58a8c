from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from valkey import Valkey as Client
from valkey.exceptions import AuthenticationError

from motovaultpro.standalone.components.valkey import Valkey


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(
        tmp_path_factory.mktemp("valkey"), password="p@ss/word", memory_megabytes=8
    ) as valkey:
        yield valkey


@pytest.fixture
def client(server: Valkey) -> Iterator[Client]:
    with Client.from_url(server.url) as client:
        yield client


def test_asks_for_the_password(server: Valkey) -> None:
    with (
        Client(host="127.0.0.1", port=server.port) as stranger,
        pytest.raises(AuthenticationError),
    ):
        stranger.ping()


def test_forgets_the_oldest_instead_of_refusing(client: Client) -> None:
    for number in range(200):
        client.set(f"key:{number}", b"x" * 100_000)
    assert client.get("key:0") is None
    assert client.get("key:199") is not None


def test_keeps_nothing_on_disk(server: Valkey, client: Client) -> None:
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("appendonly") == {"appendonly": "no"}
    assert sorted(path.name for path in server.directory.iterdir()) == ["valkey.conf", "valkey.log"]


def test_only_we_can_read_the_password(server: Valkey) -> None:
    assert (server.directory / "valkey.conf").stat().st_mode & 0o777 == 0o600
    assert "p@ss" not in " ".join(psutil.Process(server.pid).cmdline())


def test_listens_on_the_loopback_interface_only(server: Valkey) -> None:
    listening = psutil.Process(server.pid).net_connections("inet")
    assert {connection.laddr[:1] for connection in listening} == {("127.0.0.1",)}


def test_is_not_ready_when_stopped(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    assert valkey.stop() is None
    valkey.prepare()
    assert not valkey.is_ready()
