"""The commands of this room alone, without the rest of `motovault`."""

import typer

from motovaultpro.cli import standalone

app = typer.Typer()
for command in (
    standalone.up,
    standalone.status,
    standalone.logs,
    standalone.down,
    standalone.doctor,
):
    app.command()(command)
