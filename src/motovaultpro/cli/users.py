"""`motovault users`: the first owner, forgotten passwords, and who there is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from motovaultpro.cli.settings import DataDir, stack_settings_or_exit
from motovaultpro.core.database import Database
from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.settings import Settings
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.accounts.contracts import Account
from motovaultpro.features.users import facade as users

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    help="""The people who can sign in.

Examples:

    motovault users list

    motovault users reset-link ada --data-dir /srv/motovault

    motovault users setup-link
""",
)


@app.command("setup-link")
def setup_link(data_dir: DataDir = None) -> None:
    """Print the path of a new one-time link to create the first owner; earlier links stop working.

    It goes behind the system's address. Once there is an owner it prints nothing, and says so on stderr.

    Example: motovault users setup-link
    """
    path = _with_database(stack_settings_or_exit(data_dir), users.setup_link)
    if path is not None:
        typer.echo(path)
    else:
        typer.echo(
            "motovault: There is an owner already: motovault users list, motovault users reset-link NAME",
            err=True,
        )


@app.command("reset-link")
def reset_link(
    name: Annotated[
        str, typer.Argument(help="The user's name, or the id that `users list` shows.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Print a one-time link with which the user chooses a new password; earlier links stop working.

    Example: motovault users reset-link ada
    """
    settings = stack_settings_or_exit(data_dir)
    lifetime = settings.security.reset_token_lifetime
    try:
        link = _with_database(settings, lambda db: users.password_link(db, name, lifetime))
    except NotFoundError as error:
        typer.echo(f"motovault: {error.detail}", err=True)
        raise typer.Exit(1) from None
    typer.echo(settings.server.public_url + link.path)


@app.command("list")
def list_users(data_dir: DataDir = None) -> None:
    """Print everybody, separated by tabs: id, name, roles, and whether they are disabled.

    Example: motovault users list
    """
    for account in _with_database(stack_settings_or_exit(data_dir), _everybody):
        roles = ", ".join(sorted({role.value for role in account.roles.values()}))
        state = "disabled" if account.is_disabled else ""
        typer.echo(f"{account.user_id}\t{account.name or '(not signed in yet)'}\t{roles}\t{state}")


async def _everybody(database: Database) -> list[Account]:
    async with database.system_session() as session:
        return await accounts.everybody(session)


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        database = Database(settings.database)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
