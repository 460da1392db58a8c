"""Settings for commands: the environment's, or those of a running one-machine system."""

import contextlib
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from motovaultpro.core.settings import Settings, SettingsError, load_settings
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.directory import DataDirectory, default_directory
from motovaultpro.standalone.runtime import stack_environment

EXIT_MISCONFIGURED = 2

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Data directory of the running system. Default: the settings in the environment if they are complete, "
        "else the usual directory.",
        show_default=False,
    ),
]


def settings_or_exit() -> Settings:
    """The settings, or one line per problem on stderr and exit code 2."""
    try:
        return load_settings()
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(EXIT_MISCONFIGURED) from None


def stack_settings_or_exit(data_dir: Path | None) -> Settings:
    """The settings of the one-machine system that runs in `data_dir`. Without one: the environment's if it names a
    database, else those of the usual system."""
    if data_dir is None:
        with contextlib.suppress(SettingsError):
            return load_settings()
    try:
        environment = stack_environment(DataDirectory(data_dir or default_directory()))
    except ComponentError as error:
        typer.echo(f"motovault: {error}", err=True)
        raise typer.Exit(EXIT_MISCONFIGURED) from None
    sections: dict[str, Any] = defaultdict(dict)  # Any: sections of settings
    for variable, value in environment.items():
        section, separator, key = variable.removeprefix("MVP_").lower().partition("__")
        if separator:
            sections[section][key] = value
    return Settings(**sections)
