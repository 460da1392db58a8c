"""`motovault import`: bring the data of another program here, see what was brought, take it back."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from motovaultpro.cli.import_output import (
    Format,
    ProgressBars,
    print_invalid,
    print_report,
    print_rollback,
    print_runs,
)
from motovaultpro.cli.settings import DataDir, stack_settings_or_exit
from motovaultpro.core.clock import system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.errors import AppError
from motovaultpro.core.observability.logging import configure_logging
from motovaultpro.core.settings import ObservabilitySettings, Settings
from motovaultpro.core.storage import DatabaseSpool, Storage
from motovaultpro.core.units import is_currency
from motovaultpro.features.users import facade as users
from motovaultpro.lubelogger.importer import (
    Importer,
    ImportRefusedError,
    Planner,
    PlanOptions,
    Report,
    Source,
    SourceOptions,
    Target,
    check_date_format,
    open_source,
    roll_back,
    runs,
)

T = TypeVar("T")

# A statement may write a whole history here; the request's limit is for requests.
_STATEMENT_SECONDS = 600.0
_LUBELOGGER_EXAMPLES = """Examples:

motovault import lubelogger db_backup_2026-05-01.zip --dry-run

motovault import lubelogger /opt/lubelogger/data --time-zone Europe/Berlin --currency EUR

motovault import lubelogger postgresql://lubelogger:secret@db/lubelogger --files /opt/lubelogger/data

motovault import lubelogger cartracker.db --report import.json --format json
"""

app = typer.Typer(
    no_args_is_help=True,
    help="""Bring the data of another program here, into the running system.

Examples:

    motovault import lubelogger db_backup_2026-05-01.zip --dry-run

    motovault import list

    motovault import rollback 3
""",
)

Tenant = Annotated[
    UUID | None,
    typer.Option(help="Id of the garage, as in `GET /api/v1/me`; default: the first one."),
]
OutputFormat = Annotated[
    Format, typer.Option("--format", help="text for people, json for programs.")
]


@dataclass(frozen=True, slots=True)
class _Request:
    """What the options of `lubelogger` ask for."""

    source: str
    options: SourceOptions
    zone: ZoneInfo | None
    date_format: str | None
    currency: str | None
    dry_run: bool
    skip_invalid: bool
    same_installation: bool


@app.command(epilog=_LUBELOGGER_EXAMPLES)
def lubelogger(
    source: Annotated[
        str,
        typer.Argument(
            help="A backup zip, a data directory, a cartracker.db, or a postgresql:// address."
        ),
    ],
    data_dir: DataDir = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, write nothing.")
    ] = False,
    time_zone: Annotated[
        str | None,
        typer.Option(help="Zone of the LubeLogger server; needed for UTC+13 and +14 only."),
    ] = None,
    date_format: Annotated[
        str | None,
        typer.Option(help="How the server wrote purchase dates: dd/MM/yyyy, MM/dd/yyyy."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Currency of all costs, EUR; default: the garage's.")
    ] = None,
    password: Annotated[
        str | None, typer.Option(help="Password of an encrypted file; other users can see it.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password in its first line.")
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="LubeLogger's data directory, where SOURCE has no files.")
    ] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Import what is left of a damaged file.")
    ] = False,
    skip_invalid: Annotated[
        bool,
        typer.Option("--skip-invalid", help="Leave out what cannot be stored, import the rest."),
    ] = False,
    same_installation: Annotated[
        bool,
        typer.Option(
            "--same-installation",
            help="This source continues what was imported before, though it looks like another.",
        ),
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Also write the report as JSON here.")] = None,
    output: OutputFormat = Format.TEXT,
    tenant: Tenant = None,
) -> None:
    """Import a LubeLogger installation. Repeat it as often as you like: only what is new or changed comes.

    Records that were changed on both sides: the source wins if it changed since the last import. What was deleted here
    stays deleted, unless it changed at the source; what was deleted there stays here. Exit code 1: refused, or the sums of
    both sides differ.
    """
    try:
        request = _Request(
            source=source,
            options=SourceOptions(_password(password, password_file), salvage, files),
            zone=_zone(time_zone),
            date_format=_date_format(date_format),
            currency=_currency(currency),
            dry_run=dry_run,
            skip_invalid=skip_invalid,
            same_installation=same_installation,
        )
        opened = open_source(request.source, request.options)
    except ImportRefusedError as error:
        _fail(str(error))
    result = _on(
        data_dir, tenant, lambda settings, target: _import(settings, target, opened, request)
    )
    whole = result.as_json()
    if report is not None:
        _write_report(report, json.dumps(whole, indent=2))
    if output is Format.JSON:
        print(json.dumps(whole, indent=2))
    else:
        print_report(result)
    raise typer.Exit(1 if result.mismatches else 0)


@app.command("list")
def list_runs(
    data_dir: DataDir = None, *, output: OutputFormat = Format.TEXT, tenant: Tenant = None
) -> None:
    """Show the imports of a garage, newest first.

    Example: motovault import list
    """
    found = _on(data_dir, tenant, lambda _, target: runs(target))
    print_runs(found, output)


@app.command()
def rollback(
    run: Annotated[int, typer.Argument(metavar="ID", help="As in `motovault import list`.")],
    data_dir: DataDir = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tenant: Tenant = None,
) -> None:
    """Take an import back: all that it created is deleted, with what people added to it since.

    Example: motovault import rollback 3
    """
    print_rollback(_on(data_dir, tenant, lambda _, target: roll_back(target, run, dry_run=True)))
    if not yes:
        typer.confirm("Delete all of this?", abort=True, err=True)
    _on(data_dir, tenant, lambda _, target: roll_back(target, run))
    typer.echo(f"Import {run} is rolled back.")


async def _import(settings: Settings, target: Target, source: Source, request: _Request) -> Report:
    async with target.database.session(target.tenant_id) as session:
        garage = await users.garage_defaults(session, target.tenant_id)
    currency = request.currency or garage.currency
    options = PlanOptions(
        currency=currency,
        preferred_currency=request.currency,
        zone=request.zone,
        date_format=request.date_format,
        max_file_bytes=settings.storage.max_upload_bytes,
    )
    planner = Planner(source, options)
    plan = planner.plan()
    if planner.findings.invalid and not request.skip_invalid:
        print_invalid(planner.findings.invalid)
        raise ImportRefusedError(
            f"{len(planner.findings.invalid)} values cannot be stored; nothing was imported"
            " (--skip-invalid leaves them out)"
        )
    with ProgressBars() as progress:
        importer = Importer(
            target,
            source,
            plan,
            planner.findings,
            currency=currency,
            same_installation=request.same_installation,
            progress=progress.show,
        )
        return await (importer.survey() if request.dry_run else importer.run())


def _on(
    data_dir: Path | None, tenant: UUID | None, work: Callable[[Settings, Target], Awaitable[T]]
) -> T:
    """Run `work` on a garage of the running system. What goes wrong is one line and exit code 1."""
    settings = stack_settings_or_exit(data_dir)
    # Standard output is the report's.
    configure_logging(ObservabilitySettings(log_level="warning", log_format="console"), sys.stderr)

    async def run() -> T:
        async with _target(settings, tenant) as target:
            return await work(settings, target)

    try:
        return asyncio.run(run())
    except ImportRefusedError as error:
        _fail(str(error))
    except AppError as error:
        _fail(error.detail)


@asynccontextmanager
async def _target(settings: Settings, tenant: UUID | None) -> AsyncIterator[Target]:
    database = Database(
        settings.database.model_copy(
            update={"statement_timeout_seconds": _STATEMENT_SECONDS, "pool_min": 1, "pool_max": 4}
        )
    )
    await database.open()
    try:
        if tenant is None:
            async with database.system_session() as session:
                tenant = await users.default_tenant(session)
        storage = Storage(settings.storage, DatabaseSpool(database))
        yield Target(database, storage, system_clock, tenant)
    finally:
        await database.close()


def _password(password: str | None, file: Path | None) -> str | None:
    if file is None:
        return password
    try:
        return file.read_text("utf-8").partition("\n")[0].removesuffix("\r")
    except (OSError, ValueError) as error:
        raise ImportRefusedError(f"no password can be read from {file}") from error


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError) as error:
        raise ImportRefusedError(f"'{name}' is not a time zone like Europe/Berlin") from error


def _date_format(date_format: str | None) -> str | None:
    try:
        if date_format:
            check_date_format(date_format)
    except ValueError as error:
        raise ImportRefusedError(str(error)) from error
    return date_format


def _currency(code: str | None) -> str | None:
    if code is not None and not is_currency(code.upper()):
        raise ImportRefusedError(f"'{code}' is not a currency like EUR")
    return code.upper() if code else None


def _write_report(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", "utf-8")
    except OSError as error:
        _fail(f"the import is done, but the report cannot be written: {path}: {error.strerror}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"motovault: {message}", err=True)
    raise typer.Exit(1)
