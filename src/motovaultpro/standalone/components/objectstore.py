"""SeaweedFS from its wheel: an S3 server in one process."""

import json
import secrets
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from typing_extensions import override

from motovaultpro.standalone.components import binaries, ports
from motovaultpro.standalone.components.component import Component
from motovaultpro.standalone.components.process import Command

_SERVICES = ("master", "volume", "filer", "s3")
_MEMORY_LIMIT = "256MiB"


class ObjectStore(Component):
    """ObjectStore(directory, *, port=0, access_key_id=None, secret_access_key=None, bucket="motovault", log=None)

    `port` is that of S3, 0 takes a free one; the keys are made if absent; the bucket exists after `start()`.
    `endpoint` is the address for an S3 client (path style, any region).
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        bucket: str = "motovault",
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.directory = directory.resolve()
        self.port = port
        self.bucket = bucket
        self.access_key_id = access_key_id or secrets.token_hex(10)
        self.secret_access_key = secret_access_key or secrets.token_urlsafe(32)
        self.log = log or self.directory / "objectstore.log"
        self._ports: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.port}"

    @override
    def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.directory / "data").mkdir(exist_ok=True)
        self.port = self.port or ports.free_port()
        self._ports = {"s3.port": self.port}
        names = [f"{service}.{kind}" for service in _SERVICES for kind in ("port", "port.grpc")]
        for name in [*names, "admin.port", "admin.port.grpc"]:
            if name not in self._ports:
                self._ports[name] = ports.free_port(self._ports.values())
        identity = {
            "name": "app",
            "credentials": [{"accessKey": self.access_key_id, "secretKey": self.secret_access_key}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        self._identities.touch(mode=0o600)
        self._identities.write_text(json.dumps({"identities": [identity]}))

    @override
    def command(self) -> Command:
        return Command(
            argv=(
                str(binaries.find_weed()),
                "mini",
                f"-dir={self.directory / 'data'}",
                *(f"-{name}={port}" for name, port in self._ports.items()),
                f"-ip={ports.LOOPBACK}",
                f"-ip.bind={ports.LOOPBACK}",
                "-master.telemetry=false",
                "-admin.ui=false",
                "-webdav=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-s3.autoCreateBucket=false",
                "-s3.allowDeleteBucketNotEmpty=false",
                f"-s3.config={self._identities}",
                f"-bucket={self.bucket}",
            ),
            log=self.log,
            directory=self.directory,
            environment={"GOMEMLIMIT": _MEMORY_LIMIT, "HOME": str(self.directory)},
        )

    @override
    def is_ready(self) -> bool:
        """The bucket is made last, so its listing is the sign."""
        try:
            obstore.list_with_delimiter(self._store())
        except BaseError:
            return False
        return True

    def _store(self) -> S3Store:
        return S3Store(
            self.bucket,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            client_options={"allow_http": True, "timeout": timedelta(seconds=2)},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=2)},
        )

    @property
    def _identities(self) -> Path:
        return self.directory / "s3.json"
