"""`motovault serve`: run one service in the foreground."""

import typer

from motovaultpro.core.server import serve
from motovaultpro.core.settings import SettingsError, load_settings

app = typer.Typer(no_args_is_help=True, help="Run one service in the foreground.")


@app.callback()
def services() -> None:
    """Keeps `backend` a subcommand while it is the only one."""


@app.command()
def backend() -> None:
    """The application API.

    Reads the settings from the environment; `motovault up` runs it already.

    Example: MVP_CONFIG_FILE=/etc/motovault.toml motovault serve backend
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(2) from None
    from motovaultpro.app import create_app  # noqa: PLC0415 - other commands need not wait for it

    raise typer.Exit(serve(create_app, settings, service="admin-backend"))
