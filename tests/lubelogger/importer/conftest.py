from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from motovaultpro.core.clock import system_clock
from motovaultpro.lubelogger.importer import (
    Importer,
    Planner,
    PlanOptions,
    Report,
    SourceOptions,
    Target,
    open_source,
)
from tests.factories.garages import Garage

Import = Callable[..., Awaitable[Report]]


@pytest.fixture
def target(app: FastAPI, garage: Garage) -> Target:
    return Target(garage.database, app.state.storage, system_clock, garage.tenant_id)


@pytest.fixture
def run_import(target: Target) -> Import:
    """Import a path into the garage of the test."""

    async def run(
        path: Path | str,
        *,
        into: Target = target,
        dry_run: bool = False,
        same_installation: bool = False,
        files: Path | None = None,
    ) -> Report:
        source = open_source(str(path), SourceOptions(files=files))
        planner = Planner(source, PlanOptions(currency="EUR"))
        importer = Importer(
            into,
            source,
            planner.plan(),
            planner.findings,
            currency="EUR",
            same_installation=same_installation,
        )
        return await (importer.survey() if dry_run else importer.run())

    return run
