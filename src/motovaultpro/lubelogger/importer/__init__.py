"""Imports an installation of LubeLogger: vehicles, records, files, users and shares.

`open_source` reads it, `Planner` makes of it what can be stored here, `Importer` compares that with what came before and
writes what is new or changed, `roll_back` takes a run back. What identifies a document is its collection and its id; what
tells that it changed is the fingerprint of what it becomes here (`items.Item`).
"""

from motovaultpro.lubelogger.importer.days import check_date_format
from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.importer.findings import Finding, Level
from motovaultpro.lubelogger.importer.importing import Importer, Target
from motovaultpro.lubelogger.importer.planning import Planner, PlanOptions
from motovaultpro.lubelogger.importer.report import Report, StepReport
from motovaultpro.lubelogger.importer.repository import Run
from motovaultpro.lubelogger.importer.rollback import Rollback, roll_back, runs
from motovaultpro.lubelogger.importer.source import Source, SourceOptions, open_source

__all__ = [
    "Finding",
    "ImportRefusedError",
    "Importer",
    "Level",
    "PlanOptions",
    "Planner",
    "Report",
    "Rollback",
    "Run",
    "Source",
    "SourceOptions",
    "StepReport",
    "Target",
    "check_date_format",
    "open_source",
    "roll_back",
    "runs",
]
