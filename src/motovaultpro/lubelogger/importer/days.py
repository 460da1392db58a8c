"""Days out of instants and out of text in the format of some culture."""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

# Midnights of UTC-11 to UTC+12 come to lie within the day that was meant.
HALF_A_DAY: Final = timedelta(hours=12)

_YEAR_FIRST = re.compile(r"(\d{4})([-/. ])(\d{1,2})\2(\d{1,2})")
_DAY_OR_MONTH_FIRST = re.compile(r"(\d{1,2})([-/. ])\s?(\d{1,2})\2\s?(\d{4}|\d{2})\.?")
_TIME_OF_DAY = re.compile(r"[T ,]+\d{1,2}[:.]\d{2}([:.]\d{2}(\.\d+)?)?\s*([AaPp]\.?[Mm]\.?)?Z?$")
_WITH_MONTH_NAME: Final = (
    "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%A, %B %d, %Y", "%A, %d %B %Y",
)  # fmt: skip
_TOKENS: Final = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "m": "%m", "dd": "%d", "d": "%d"}
# Languages as cultures write them whose numeric dates put the month first.
_MONTH_FIRST_CULTURES: Final = frozenset({"en_US", "en_PH", "es_PR", "es_US", "fil_PH", "en_PR"})


def day_of(moment: datetime, zone: ZoneInfo | None) -> date:
    """The day whose local midnight is `moment`.

    LiteDB keeps instants (aware): of the server's zone if it is known, else of the one whose midnight is nearest, which
    is wrong by a day for UTC+13 and +14 only. PostgreSQL keeps local time (naive).
    """
    if moment.tzinfo is None:
        return moment.date()
    if zone is not None:
        return moment.astimezone(zone).date()
    return (moment + HALF_A_DAY).date()


class DayReader:
    """Reads days that LubeLogger stored as text of its server's culture.

    ISO dates are certain, and so is `date_format` (`dd/MM/yyyy`, or strptime's `%d/%m/%Y`) if it is given. For the others
    `samples`, all such texts of the installation, may show whether the day or the month comes first, else `culture` may
    (`en_US`). What stays ambiguous is not guessed.
    """

    def __init__(
        self,
        samples: Iterable[str],
        *,
        date_format: str | None = None,
        culture: str | None = None,
    ) -> None:
        self._format = _strptime_format(date_format) if date_format else None
        self._month_first = _evidence(samples, culture)

    def read(self, text: str) -> date | None:
        text = _TIME_OF_DAY.sub("", text.strip())
        if match := _YEAR_FIRST.fullmatch(text):
            return _date(match[1], match[3], match[4])
        if self._format is not None and (day := _parsed(text, self._format)):
            return day
        if match := _DAY_OR_MONTH_FIRST.fullmatch(text):
            return self._read_numbers(match)
        for known in _WITH_MONTH_NAME:
            if day := _parsed(text, known):
                return day
        return None

    def _read_numbers(self, match: re.Match[str]) -> date | None:
        first, second, year = match[1], match[3], _full_year(match[4])
        as_day_first = _date(year, second, first)
        as_month_first = _date(year, first, second)
        if as_day_first is None or as_month_first is None or as_day_first == as_month_first:
            return as_day_first or as_month_first
        if match[2] == ".":  # no culture writes the month first before a dot
            return as_day_first
        if self._month_first is None:
            return None
        return as_month_first if self._month_first else as_day_first


def check_date_format(date_format: str) -> None:
    """Raise `ValueError` unless it names day, month and year."""
    written = _strptime_format(date_format)
    if not ("%d" in written and re.search(r"%[mbB]", written) and re.search(r"%[yY]", written)):
        raise ValueError(f"'{date_format}' is no date format like dd/MM/yyyy")


def _strptime_format(date_format: str) -> str:
    if "%" in date_format:
        return date_format
    return re.sub(r"[yY]+|[mM]+|[dD]+", lambda m: _TOKENS.get(m[0].lower(), m[0]), date_format)


def _evidence(samples: Iterable[str], culture: str | None) -> bool | None:
    """Whether the month comes first; None if nothing tells, or the samples contradict each other."""
    said: set[bool] = set()
    for sample in samples:
        match = _DAY_OR_MONTH_FIRST.fullmatch(_TIME_OF_DAY.sub("", sample.strip()))
        if match is None or match[2] == ".":
            continue
        year = _full_year(match[4])
        day_first = _date(year, match[3], match[1]) is not None
        month_first = _date(year, match[1], match[3]) is not None
        if day_first != month_first:
            said.add(month_first)
    if said:
        return said.pop() if len(said) == 1 else None
    if culture:
        return culture.replace("-", "_") in _MONTH_FIRST_CULTURES
    return None


def _full_year(year: str) -> str:
    if len(year) == 2:  # noqa: PLR2004 - as two digits are read since POSIX: 69 is 1969, 68 is 2068
        return str(datetime.strptime(year, "%y").year)  # noqa: DTZ007 - only the year is used
    return year


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _parsed(text: str, written: str) -> date | None:
    try:
        return datetime.strptime(text, written).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
