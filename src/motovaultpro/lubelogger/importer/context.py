from dataclasses import dataclass
from zoneinfo import ZoneInfo

from motovaultpro.lubelogger.importer.days import DayReader
from motovaultpro.lubelogger.importer.record_fields import LinkTargets
from motovaultpro.lubelogger.importer.uploads import Uploads


@dataclass(frozen=True, slots=True)
class MappingContext:
    """What all mappings need besides the document."""

    zone: ZoneInfo | None
    days: DayReader
    currency: str
    uploads: Uploads
    targets: LinkTargets
