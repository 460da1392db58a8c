"""`motovault config`: are the settings right, and what are they?"""

import typer
from rich.console import Console
from rich.table import Table

from motovaultpro.cli.settings import settings_or_exit
from motovaultpro.core.settings import described

app = typer.Typer(
    no_args_is_help=True,
    help="""Check or show the settings.

Those that `serve`, `worker` and `migrate` read from the environment, secret files and `MVP_CONFIG_FILE`. `motovault up`
makes its own; `motovault doctor` checks them.

Examples:

    motovault config check

    MVP_SERVER__PORT=9000 motovault config show
""",
)


@app.command()
def check() -> None:
    """Read all settings and say what is missing or wrong, one line each. Exit code 2 if anything is.

    Example: MVP_CONFIG_FILE=/etc/motovault.toml motovault config check
    """
    settings_or_exit()
    typer.echo("The settings are complete.")


@app.command()
def show() -> None:
    """Show every setting with its value; secrets are hidden.

    Example: MVP_CONFIG_FILE=/etc/motovault.toml motovault config show
    """
    settings = settings_or_exit()
    table = Table("variable", "value", box=None)
    for item in described(settings):
        table.add_row(item.variable, item.value)
    Console(soft_wrap=True).print(table)
