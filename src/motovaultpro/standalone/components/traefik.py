"""Traefik from its wheel: one address in front of the backends, with production's middlewares.

Unlike production there is no HSTS: remembered for localhost it would lock every other program of this machine out
of plain HTTP. CORS is absent because everything here has one origin.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from typing_extensions import override

from motovaultpro.standalone.components import binaries, ports
from motovaultpro.standalone.components.component import Component
from motovaultpro.standalone.components.process import Command

DRAIN_SECONDS = 30
RATE_LIMIT = 200
_IDENTITY_HEADERS = ("X-Auth-User", "X-Auth-Roles", "X-Auth-Tenant")
_UPLOAD_SECONDS = 3600
# Waits of 100 to 200 ms, halved at worst by their jitter: together longer than the health check needs to take a dead
# backend out. With three attempts, one GET in 600 met the dead one every time (measured, one of three killed).
_ATTEMPTS = {"attempts": 14, "initialInterval": "100ms"}


class Traefik(Component):
    """Traefik(directory, *, backends, host="127.0.0.1", port=0, tls_port=0, certificate=None, rate_limit=200,
    log=None)

    - `backends`: addresses such as `http://127.0.0.1:21001`. Two or more are health-checked on /health/ready.
    - `port`: of plain HTTP on `host`, 0 takes a free one. `certificate` (certificate and key file) opens `tls_port` too.
    - `rate_limit`: requests a second from one address; twice as many in a burst.

    /traefik/dashboard/ is the dashboard, for owners, as /auth/verify says.
    """

    def __init__(
        self,
        directory: Path,
        *,
        backends: Sequence[str],
        host: str = ports.LOOPBACK,
        port: int = 0,
        tls_port: int = 0,
        certificate: tuple[Path, Path] | None = None,
        rate_limit: int = RATE_LIMIT,
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.directory = directory.resolve()
        self.host = host
        self.port = port
        self.tls_port = tls_port
        self.log = log or self.directory / "traefik.log"
        self.management_port = 0
        self._backends = tuple(backends)
        self._certificate = certificate
        self._rate_limit = rate_limit

    @property
    def url(self) -> str:
        """Plain HTTP from this machine."""
        return f"http://{ports.LOOPBACK}:{self.port}"

    @override
    def prepare(self) -> None:
        self.port = self.port or ports.free_port()
        self.management_port = ports.free_port((self.port,))
        if self._certificate is not None and not self.tls_port:
            self.tls_port = ports.free_port((self.port, self.management_port))
        self._routes.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # JSON is YAML, and Traefik only reads files that are named so.
        self._static.write_text(json.dumps(self._static_configuration(), indent=2))
        self._routes.write_text(json.dumps(self._dynamic_configuration(), indent=2))

    @override
    def command(self) -> Command:
        return Command(
            argv=(str(binaries.find_traefik()), f"--configfile={self._static}"),
            log=self.log,
            directory=self.directory,
            environment={"HOME": str(self.directory)},
            stop_seconds=DRAIN_SECONDS + 2,
        )

    @override
    def is_ready(self) -> bool:
        """Ping is a route of the dynamic file, so its answer says that the routes are loaded."""
        try:
            answer = httpx.get(
                f"http://{ports.LOOPBACK}:{self.management_port}/ping", timeout=1, trust_env=False
            )
        except httpx.TransportError:
            return False
        return answer.is_success

    @property
    def _static(self) -> Path:
        return self.directory / "traefik.yaml"

    @property
    def _routes(self) -> Path:
        return self.directory / "dynamic" / "routes.yaml"

    def _static_configuration(self) -> Mapping[str, Any]:
        entrypoint = {
            "transport": {
                "lifeCycle": {"graceTimeOut": f"{DRAIN_SECONDS}s"},
                # The default of a minute would cut long uploads.
                "respondingTimeouts": {"readTimeout": f"{_UPLOAD_SECONDS}s"},
            },
            # X_Auth_User and its like reach many servers as X-Auth-User.
            "http": {"aliasHeadersStrategy": "delete"},
        }
        entrypoints: dict[str, Any] = {
            "web": entrypoint | {"address": _address(self.host, self.port)},
            "management": {
                "address": _address(ports.LOOPBACK, self.management_port),
                "http": {"aliasHeadersStrategy": "delete"},
            },
        }
        if self._certificate is not None:
            entrypoints["websecure"] = entrypoint | {
                "address": _address(self.host, self.tls_port),
                "http": {"aliasHeadersStrategy": "delete", "tls": {}},
            }
        return {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "INFO", "format": "json"},
            "api": {"dashboard": True, "basePath": "/traefik"},
            "ping": {"manualRouting": True},
            "entryPoints": entrypoints,
            "providers": {"file": {"directory": str(self._routes.parent), "watch": True}},
        }

    def _dynamic_configuration(self) -> Mapping[str, Any]:
        public = ["web", *(["websecure"] if self._certificate else [])]
        chain = ["strip-identity", "secure-headers", "rate-limit", "compress"]
        backend = {"entryPoints": public, "service": "backend"}
        configuration: dict[str, Any] = {
            "http": {
                "routers": {
                    "ping": {
                        "entryPoints": ["management"],
                        "rule": "Path(`/ping`)",
                        "service": "ping@internal",
                    },
                    "dashboard": {
                        "entryPoints": public,
                        "rule": "PathPrefix(`/traefik`)",
                        "priority": 3,
                        "service": "api@internal",
                        "middlewares": ["strip-identity", "secure-headers", "rate-limit", "auth"],
                    },
                    "reads": backend
                    | {
                        "rule": "Method(`GET`) || Method(`HEAD`)",
                        "priority": 2,
                        "middlewares": [*chain, "retry-reads"],
                    },
                    "writes": backend
                    | {"rule": "PathPrefix(`/`)", "priority": 1, "middlewares": [*chain, "retry"]},
                },
                "middlewares": self._middlewares(),
                "services": {"backend": {"loadBalancer": self._load_balancer()}},
            }
        }
        if self._certificate is not None:
            certificate, key = (str(file) for file in self._certificate)
            configuration["tls"] = {
                "stores": {
                    "default": {"defaultCertificate": {"certFile": certificate, "keyFile": key}}
                }
            }
        return configuration

    def _middlewares(self) -> Mapping[str, Any]:
        return {
            # Nobody but forwardAuth may say who is signed in.
            "strip-identity": {
                "headers": {"customRequestHeaders": dict.fromkeys(_IDENTITY_HEADERS, "")}
            },
            "secure-headers": {
                "headers": {
                    "contentTypeNosniff": True,
                    "frameDeny": True,
                    "referrerPolicy": "strict-origin-when-cross-origin",
                    "permissionsPolicy": "camera=(self), geolocation=(self), microphone=()",
                }
            },
            "rate-limit": {
                "rateLimit": {
                    "average": self._rate_limit,
                    "period": "1s",
                    "burst": 2 * self._rate_limit,
                }
            },
            # Events are sent one by one; compression would hold them back.
            "compress": {"compress": {"excludedContentTypes": ["text/event-stream"]}},
            "auth": {
                "forwardAuth": {
                    "address": f"{self.url}/auth/verify?role=owner",
                    "authResponseHeaders": list(_IDENTITY_HEADERS),
                    "trustForwardHeader": False,
                    "maxResponseBodySize": 65536,
                }
            },
            # A connection that was refused is safe to repeat, whatever the request.
            "retry": {"retry": _ATTEMPTS},
            # One that broke midway (502) only where repeating changes nothing. These have no body to keep.
            "retry-reads": {"retry": _ATTEMPTS | {"status": ["502"]}},
        }

    def _load_balancer(self) -> Mapping[str, Any]:
        servers = {"servers": [{"url": url} for url in self._backends]}
        if len(self._backends) == 1:
            return servers  # taking the only one out would hide its own answer (503 and why)
        # Longer than a backend waits for what it depends on: a frozen cache must not take them all out.
        check = {"path": "/health/ready", "interval": "1s", "timeout": "3s"}
        return servers | {"healthCheck": check}


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
