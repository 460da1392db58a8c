"""A tiny service in place of each of ours, run as `python stand_in.py ROLE [FILE]`."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

from typing_extensions import override

from motovaultpro.core.settings import load_settings


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = str(os.getpid()).encode()
        self.send_response(401 if self.path == "/auth/verify" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Quiet."""


def _end(_: int, __: FrameType | None) -> None:
    sys.exit(0)


def _serve(host: str, port: int) -> None:
    ThreadingHTTPServer((host, port), _Handler).serve_forever()


def main() -> None:
    role, *arguments = sys.argv[1:]
    settings = load_settings()
    signal.signal(signal.SIGTERM, _end)
    match role:
        case "migrate":
            assert settings.database.owner_url is not None
            print('{"event": "migrated", "level": "info"}', flush=True)  # noqa: T201 - its log
        case "fail":
            sys.exit("the stand-in was told to fail")
        case "setup-link":
            print("/setup?token=once")  # noqa: T201 - its answer
        case "worker":
            Path(arguments[0]).write_text(settings.model_dump_json())
            _serve(settings.server.host, settings.server.metrics_port)
        case "backend":
            _serve(settings.server.host, settings.server.port)


if __name__ == "__main__":
    main()
