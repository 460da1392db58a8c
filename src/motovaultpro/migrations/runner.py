"""Runs migrations without an alembic.ini: `motovault migrate` and the tests call this."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from motovaultpro.core.database import connection_string

_HERE = Path(__file__).parent

ONE_AT_A_TIME = 7_018_460_221
"""The advisory lock that a migration holds; it goes with the connection."""


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("path_separator", "os")
    return config


def migrate(owner_url: str, *, app_role: str, revision: str = "head") -> None:
    """Bring the database to `revision`; `app_role` is granted what the application needs, and owns nothing.

    Raises psycopg's and SQLAlchemy's errors as they are.
    """
    config = alembic_config()
    config.attributes["conninfo"] = connection_string(owner_url)
    config.attributes["app_role"] = app_role
    command.upgrade(config, revision)


def downgrade(owner_url: str, *, app_role: str, revision: str) -> None:
    config = alembic_config()
    config.attributes["conninfo"] = connection_string(owner_url)
    config.attributes["app_role"] = app_role
    command.downgrade(config, revision)


def head() -> str:
    """The newest revision this release knows."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if revision is None:
        raise RuntimeError("no migrations found")
    return revision
