"""`motovault migrate`: bring the database to this release."""

import typer
from psycopg.conninfo import conninfo_to_dict

from motovaultpro.cli.settings import settings_or_exit


def migrate() -> None:
    """Bring the database to the schema of this release.

    Needs `MVP_DATABASE__OWNER_URL`, the address with the owning role; the role in `MVP_DATABASE__URL` is granted what the
    application needs. Running it again changes nothing. `motovault up` does this at every start.

    Example: MVP_CONFIG_FILE=/etc/motovault.toml motovault migrate
    """
    database = settings_or_exit().database
    if database.owner_url is None:
        typer.echo(
            "MVP_DATABASE__OWNER_URL: the address with the owning role, needed to change the schema",
            err=True,
        )
        raise typer.Exit(2)
    from motovaultpro.migrations import runner  # noqa: PLC0415 - alembic is slow to load

    app_role = conninfo_to_dict(database.url.get_secret_value()).get("user")
    runner.migrate(database.owner_url.get_secret_value(), app_role=str(app_role))
    typer.echo(f"The database is at revision {runner.head()}.")
