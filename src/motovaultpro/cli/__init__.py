"""`motovault`: one file per noun, mounted here."""

from typing import Annotated

import typer

from motovaultpro import __version__
from motovaultpro.cli import config, import_, litedb, migrate, serve, standalone, users, worker

app = typer.Typer(
    name="motovault",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # tracebacks of services end in logs
    context_settings={"help_option_names": ["-h", "--help"]},
    help="MotoVaultPro keeps the life of vehicles.",
)
for command in (
    standalone.up,
    standalone.status,
    standalone.logs,
    standalone.down,
    standalone.doctor,
):
    app.command()(command)
app.command()(migrate.migrate)
app.command()(worker.worker)
app.add_typer(serve.app, name="serve")
app.add_typer(config.app, name="config")
app.add_typer(users.app, name="users")
app.add_typer(import_.app, name="import")
app.add_typer(litedb.app, name="litedb")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"motovault {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Start with `motovault up`."""
