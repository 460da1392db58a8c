from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import obstore
import psutil
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from motovaultpro.standalone.components.objectstore import ObjectStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("objectstore"), bucket="garage") as store:
        yield store


def _client(server: ObjectStore, **changes: Any) -> S3Store:  # Any: obstore's own options
    options = {
        "endpoint": server.endpoint,
        "region": "us-east-1",
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
    }
    return S3Store(server.bucket, **(options | changes))


def test_its_bucket_takes_and_gives_objects(server: ObjectStore) -> None:
    store = _client(server)
    obstore.put(store, "manual.pdf", b"torque")
    assert bytes(obstore.get(store, "manual.pdf").bytes()) == b"torque"


def test_refuses_a_wrong_key(server: ObjectStore) -> None:
    with pytest.raises(BaseError, match="403"):
        obstore.get(_client(server, secret_access_key="wrong"), "manual.pdf")


def test_listens_on_the_loopback_interface_only(server: ObjectStore) -> None:
    listening = [
        connection.laddr[0]
        for connection in psutil.Process(server.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_reports_to_nobody(server: ObjectStore) -> None:
    assert "-master.telemetry=false" in psutil.Process(server.pid).cmdline()


def test_only_we_can_read_the_keys(server: ObjectStore) -> None:
    assert (server.directory / "s3.json").stat().st_mode & 0o777 == 0o600
