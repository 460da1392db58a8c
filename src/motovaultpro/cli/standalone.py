"""`motovault up`, `status`, `logs`, `down`, `doctor`: the one-machine system."""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from motovaultpro.core.clock import system_clock
from motovaultpro.standalone import overview
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.ports import LOOPBACK
from motovaultpro.standalone.components.traefik import RATE_LIMIT
from motovaultpro.standalone.directory import DataDirectory, default_directory
from motovaultpro.standalone.doctor import Doctor, Verdict
from motovaultpro.standalone.leftovers import stop_leftovers
from motovaultpro.standalone.logs import LogLine, LogTail, as_json, as_text, last_lines
from motovaultpro.standalone.plan import DEFAULT_PORT, StackOptions
from motovaultpro.standalone.stack import JOURNAL, Ready, run_stack
from motovaultpro.standalone.state import (
    NotRunningError,
    StackState,
    read_state,
    running_state,
    wait_until,
)

NOT_RUNNING = 3
_STOP_SECONDS = 90
_FOLLOW_SECONDS = 0.25
_VERDICT_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


class _LogConsole(Console):
    """Where nobody reads any more, rich would end us; the supervisor decides that itself."""

    @override
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Where the system keeps everything. Default: the user's data directory "
        "($XDG_DATA_HOME/motovaultpro), for root /var/lib/motovaultpro.",
        show_default=False,
    ),
]
Format = Annotated[LogFormat, typer.Option("--log-format", help="Lines for people, or JSON.")]


def up(
    data_dir: DataDir = None,
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")
    ] = LOOPBACK,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port to listen on. Default: 8080 if free, else any.",
            show_default=False,
        ),
    ] = None,
    replicas: Annotated[int, typer.Option(min=1, max=16, help="Backends to run.")] = 1,
    tls: Annotated[
        bool, typer.Option("--tls", help="Also serve https (8443) with a certificate of our own.")
    ] = False,
    public_url: Annotated[
        str | None,
        typer.Option(
            help="Address people type where it is another one, such as https://garage.example.org of a proxy.",
            show_default=False,
        ),
    ] = None,
    rate_limit: Annotated[
        int, typer.Option(min=1, help="Requests a second from one address.")
    ] = RATE_LIMIT,
    log_format: Format = LogFormat.TEXT,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no logs, only the banner.")] = False,
    pg_bin: Annotated[
        Path | None,
        typer.Option(
            envvar="MVP_PG_BIN",
            help="Directory of another PostgreSQL's programs.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the whole system on this machine until Ctrl-C.

    Nothing else to install: PostgreSQL, Valkey, Traefik and the services are started, watched and restarted.

    Examples:

    motovault up

    motovault up --replicas 3 --port 9000

    motovault up --host 0.0.0.0 --tls

    motovault up --data-dir ./data --log-format json
    """
    directory = _directory(data_dir)
    options = StackOptions(
        host=host,
        port=port,
        tls=tls,
        public_url=public_url,
        replicas=replicas,
        rate_limit=rate_limit,
        postgres_binaries=pg_bin,
    )
    show = _ignore if quiet else _printer(log_format)
    try:
        run_stack(
            directory,
            options,
            system_clock,
            show=show,
            on_ready=lambda ready: _banner(ready, directory, log_format),
        )
    except ComponentError as error:
        _fail(str(error))


def status(data_dir: DataDir = None) -> None:
    """Show each service of the running system.

    Exit code 0: all healthy, 1: not all, 3: not running.

    Examples:

    motovault status

    motovault status --data-dir ./data || echo down
    """
    state = _running(_directory(data_dir))
    services = overview.examine(state, system_clock)
    table = Table("service", "state", "pid", "uptime", "restarts", "port", "memory", box=None)
    for service in services:
        table.add_row(
            service.name,
            Text(service.phase, style="green" if service.healthy else "bold red"),
            _or_dash(service.pid),
            _or_dash(service.uptime),
            str(service.restarts),
            _or_dash(service.port),
            f"{service.memory_bytes / 2**20:.0f} MiB" if service.memory_bytes else "-",
        )
    console = Console()
    console.print(table)
    console.print(f"\n{state.public_url}", highlight=False)
    raise typer.Exit(0 if all(service.healthy for service in services) else 1)


def logs(
    service: Annotated[
        str | None,
        typer.Argument(help="Only this one; `backend` means all its replicas.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines from each log.")] = 50,
    log_format: Format = LogFormat.TEXT,
) -> None:
    """Show what the services wrote, whether they run or not.

    Examples:

    motovault logs

    motovault logs -f backend

    motovault logs postgres -n 200
    """
    directory = _directory(data_dir)
    files = {file.stem: file for file in sorted(directory.logs.glob("*.log"))}
    chosen = {
        name: file
        for name, file in files.items()
        if service is None or name == service or name.startswith(f"{service}-")
    }
    if not chosen:
        known = ", ".join(files) or "none yet"
        _fail(f"No log of {service or 'any service'} in {directory.logs}. There are: {known}.")
    show = _printer(log_format, list(chosen))
    tail = LogTail(chosen)
    for name, file in chosen.items():
        for line in last_lines(file, lines):
            show(LogLine(name, line))
    try:
        while follow:
            time.sleep(_FOLLOW_SECONDS)
            for entry in tail.poll():
                show(entry)
    except KeyboardInterrupt:
        return


def down(data_dir: DataDir = None) -> None:
    """Stop the running system and wait for its end.

    Examples:

    motovault down

    motovault down --data-dir ./data
    """
    directory = _directory(data_dir)
    state = read_state(directory)
    console = Console(soft_wrap=True, highlight=False)
    if state is None:
        console.print(f"Not running on {directory.root}.")
        return
    supervisor = state.supervisor.process()
    if supervisor is None:
        stopped = ", ".join(stop_leftovers(state)) or "no process"
        directory.state_file.unlink(missing_ok=True)
        console.print(f"The supervisor had been killed. Cleaned up what it left: {stopped}.")
        return
    supervisor.terminate()
    if not wait_until(lambda: not state.supervisor.runs(), _STOP_SECONDS):
        _fail(f"Process {supervisor.pid} still runs after {_STOP_SECONDS} s: motovault logs")
    console.print("Stopped.")


def doctor(
    data_dir: DataDir = None,
    *,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="The port to be used.")
    ] = DEFAULT_PORT,
) -> None:
    """Check everything a start needs and say what to do.

    Exit code 1: something must be done.

    Examples:

    motovault doctor

    motovault doctor --data-dir ./data --port 9000
    """
    console = Console(soft_wrap=True)
    failed = False
    for finding in Doctor(_directory(data_dir), system_clock, port=port).examine():
        failed = failed or finding.verdict is Verdict.FAIL
        label = Text(f"{finding.verdict:<5}", style=_VERDICT_STYLES[finding.verdict])
        console.print(label.append(finding.text, style="default"))
    raise typer.Exit(1 if failed else 0)


def _directory(data_dir: Path | None) -> DataDirectory:
    return DataDirectory(data_dir or default_directory())


def _running(directory: DataDirectory) -> StackState:
    try:
        return running_state(directory)
    except NotRunningError as error:
        _fail(str(error), NOT_RUNNING)


def _printer(log_format: LogFormat, names: list[str] | None = None) -> Callable[[LogLine], None]:
    """Prints lines; prefixes are as wide as the widest name so far."""
    if log_format is LogFormat.JSON:
        return lambda line: print(as_json(line), flush=True)
    console = _LogConsole(soft_wrap=True, highlight=False)
    known = names or [JOURNAL, "postgres", "backend-1"]

    def show(line: LogLine) -> None:
        if line.service not in known:
            known.append(line.service)
        console.print(as_text(line, known))

    return show


def _ignore(_: LogLine) -> None:
    return


def _banner(ready: Ready, directory: DataDirectory, log_format: LogFormat) -> None:
    setup = f"{ready.public_url}{ready.setup_path}" if ready.setup_path else None
    if log_format is LogFormat.JSON:
        banner = {"service": JOURNAL, "event": "banner", "url": ready.public_url, "setup": setup}
        print(json.dumps(banner), flush=True)
        return
    text = Text.assemble(("MotoVaultPro is ready at ", ""), (ready.public_url, "bold cyan"))
    text.append(f"\n\nData in {directory.root}. Stop with Ctrl-C.", style="dim")
    console = Console()
    console.print(Panel(text, expand=False, padding=(1, 2), border_style="cyan"))
    if setup:
        # Outside the frame and never wrapped, so that it can be clicked and copied.
        console.print("Create your account, once:", Text(setup, style="bold green"), soft_wrap=True)


def _or_dash(value: int | timedelta | None) -> str:
    return "-" if value is None else str(value)


def _fail(message: str, code: int = 1) -> NoReturn:
    print(f"motovault: {message}", file=sys.stderr)
    raise typer.Exit(code)
