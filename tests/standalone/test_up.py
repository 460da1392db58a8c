import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from motovaultpro.standalone.components.ports import free_port
from tests.standalone.waiting import eventually


def test_up_runs_the_real_system(reachable_path: Path) -> None:
    port, output = free_port(), reachable_path / "output"
    arguments = ["up", "--data-dir", str(reachable_path / "data"), "--port", str(port)]
    with output.open("w") as stream:
        system = subprocess.Popen(
            [sys.executable, "-m", "motovaultpro.cli", *arguments, "--log-format", "json"],
            stdout=stream,
            stderr=stream,
        )
    eventually(lambda: system.poll() is not None or '"event": "banner"' in output.read_text(), 90)
    assert system.poll() is None, output.read_text()
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    [banner] = [line for line in lines if line.get("event") == "banner"]
    assert banner["url"] == f"http://localhost:{port}"
    assert banner["setup"].startswith(f"{banner['url']}/")
    assert httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    system.send_signal(signal.SIGINT)
    assert system.wait(60) == 0, output.read_text()
