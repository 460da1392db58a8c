import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from motovaultpro.lubelogger.extended_json import to_extended_json
from motovaultpro.lubelogger.litedb import (
    DamagedError,
    Database,
    LiteDBError,
    LogError,
    PasswordNeededError,
    UnreadableFileError,
    ZipArchiveError,
    open_backup,
    open_database,
)

DUMP_EXAMPLES = """Examples:

motovault litedb dump data/cartracker.db > cartracker.json

motovault litedb dump LubeLogger-backup.zip

motovault litedb dump damaged.db --salvage 2> losses.txt

motovault litedb dump secret.db --password-file password.txt
"""

app = typer.Typer(no_args_is_help=True, help="Look into LubeLogger's data file (LiteDB 5).")


@app.callback()
def litedb() -> None:
    """Keeps `dump` a command of its own: typer folds a lone command into its group."""


@app.command(epilog=DUMP_EXAMPLES)
def dump(
    file: Annotated[
        Path,
        typer.Argument(help="A cartracker.db (its -log.db beside it is read too) or a backup zip."),
    ],
    password: Annotated[
        str | None, typer.Option(help="Password of an encrypted file; other users can see it.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password in its first line.")
    ] = None,
    no_log: Annotated[
        bool, typer.Option("--no-log", help="Leave the log out: the state before it.")
    ] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Read what is left of a damaged file.")
    ] = False,
) -> None:
    """Print all records as canonical Extended JSON v2 (MongoDB's), documents by collection.

    If anything is damaged it prints nothing and exits with 1; --salvage lists losses on stderr.
    """
    try:
        if password_file is not None:
            password = _read_password(password_file)
        database = _open(file, password=password, use_log=not no_log, salvage=salvage)
        if not salvage:
            _check_all(database)
        _write(database)
    except LiteDBError as error:
        typer.echo(f"motovault: {file}: {error}{_hint(error)}", err=True)
        raise typer.Exit(1) from error
    for problem in database.problems:
        typer.echo(f"motovault: {file}: {problem}", err=True)


def _open(file: Path, *, password: str | None, use_log: bool, salvage: bool) -> Database:
    try:
        return open_database(file, password=password, use_log=use_log, salvage=salvage)
    except ZipArchiveError:
        return open_backup(file, password=password, use_log=use_log, salvage=salvage)


def _hint(error: LiteDBError) -> str:
    match error:
        case LogError():
            return " (--no-log reads without the log)"
        case DamagedError():
            return " (--salvage reads what is left)"
        case PasswordNeededError():
            return " (--password or --password-file)"
        case _:
            return ""


def _read_password(path: Path) -> str:
    try:
        return path.read_text("utf-8").partition("\n")[0].removesuffix("\r")
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"no password can be read from {path}") from error


def _check_all(database: Database) -> None:
    """Fail before the first byte of output, not in the middle of it."""
    for collection in database.collections:
        for _ in database.read(collection):
            pass


def _write(database: Database) -> None:
    write = sys.stdout.write
    write("{")
    for number, collection in enumerate(database.collections):
        write(f"{',' if number else ''}\n{json.dumps(collection)}: [")
        for position, document in enumerate(database.read(collection)):
            write(f"{',' if position else ''}\n{json.dumps(to_extended_json(document))}")
        write("\n]")
    write("\n}\n")
