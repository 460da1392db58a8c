"""Typed reading of one document's fields. What is wrong with a field becomes a finding, never an exception."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from motovaultpro.lubelogger.importer.days import day_of
from motovaultpro.lubelogger.importer.findings import Findings, Level

MAX_LINE: Final = 200
MAX_NOTES: Final = 100_000
MAX_AMOUNT: Final = Decimal(10) ** 10
MAX_QUANTITY: Final = Decimal(10) ** 8
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 1, 1)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Fields:
    """The fields of `document`. Null, absent and "" mean the same: the default.

    `remarks` collects what has no field here; `notes_with_remarks` puts it below the notes, so that nothing is lost.
    """

    def __init__(
        self,
        collection: str,
        document: Mapping[str, Any],  # Any: LiteDB's values, or JSON
        findings: Findings,
        *,
        parent: "Fields | None" = None,
        path: str = "",
    ) -> None:
        self.collection = collection
        self.source_id: str = parent.source_id if parent else source_id_of(document.get("_id"))
        self.is_invalid = False
        self.remarks: list[str] = parent.remarks if parent else []
        self._parent = parent
        self._document = document
        self._findings = findings
        self._path = path

    def note(self, field: str, message: str, level: Level = Level.NOTE) -> None:
        self._findings.add(level, self.collection, self.source_id, self._path + field, message)

    def invalid(self, field: str, message: str) -> None:
        self.is_invalid = True
        if self._parent is not None:
            self._parent.is_invalid = True
        self.note(field, message, Level.INVALID)

    def raw(self, name: str) -> Any:  # Any: whatever is stored
        return self._document.get(name)

    def text(self, name: str) -> str:
        """Trimmed; line breaks stay."""
        value = self._document.get(name)
        if value is None:
            return ""
        cleaned = storable(str(value))
        if cleaned != str(value):
            self.note(name, "control characters were removed")
        return cleaned.strip()

    def line(self, name: str) -> str:
        """One printable line of at most 200 characters; what is longer goes into the remarks whole."""
        value = self.text(name)
        line = one_line(value)
        if len(line) > MAX_LINE:
            self.note(
                name, f"was longer than {MAX_LINE} characters; the whole text is in the notes"
            )
            self.remarks.append(f"{name}: {value}")
            return line[: MAX_LINE - 1].rstrip() + "…"
        return line

    def whole(self, name: str, default: int = 0) -> int:
        number = self.number(name, Decimal(default))
        return int(number)

    def number(self, name: str, default: Decimal = Decimal(0)) -> Decimal:
        """Digits as they were typed. A text may hold a number with a decimal comma."""
        value = self._document.get(name)
        if value is None or value == "":
            return default
        number = decimal_in(value)
        if number is None:
            self.invalid(name, f"'{value}' is not a number")
            return default
        return number

    def amount(self, name: str) -> Decimal:
        return self._within(name, MAX_AMOUNT)

    def quantity(self, name: str) -> Decimal:
        return self._within(name, MAX_QUANTITY)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._document.get(name)
        if isinstance(value, str):
            return value.strip().lower() == "true" if value.strip() else default
        return default if value is None else bool(value)

    def member(self, name: str, members: Sequence[str] | Mapping[int, str]) -> str:
        """The name of an enum's member, which LiteDB stores as name and PostgreSQL as number; "" if it is unknown."""
        return member_of(self._document.get(name), members)

    def texts(self, name: str) -> list[str]:
        values = self._document.get(name)
        if not isinstance(values, list):
            return []
        return [storable(str(value)).strip() for value in values if value is not None]

    def parts(self, name: str) -> Iterator["Fields"]:
        """The documents in a list; their findings carry the path (`Files[0].Location`)."""
        values = self._document.get(name)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, Mapping):
                yield Fields(
                    self.collection,
                    value,
                    self._findings,
                    parent=self,
                    path=f"{self._path}{name}[{index}].",
                )

    def day(self, name: str, zone: ZoneInfo | None) -> date:
        value = self._document.get(name)
        moment = value if isinstance(value, datetime) else _moment(value)
        if moment is None:
            self.invalid(name, "has no date" if value is None else f"'{value}' is not a date")
            return EARLIEST
        try:
            day = day_of(moment, zone)
        except OverflowError:
            day = date.min
        if not EARLIEST <= day <= LATEST:
            self.invalid(name, f"the date {day} is not between {EARLIEST.year} and {LATEST.year}")
            return EARLIEST
        return day

    def notes_with_remarks(self, notes: str) -> str:
        whole = "\n".join([notes, *self.remarks] if notes else self.remarks)
        if len(whole) > MAX_NOTES:
            self.invalid("Notes", f"is longer than {MAX_NOTES} characters")
        return whole

    def _within(self, name: str, limit: Decimal) -> Decimal:
        number = self.number(name)
        if not 0 <= number < limit:
            self.invalid(name, f"{number} is not between 0 and {limit}")
            return Decimal(0)
        return number


def source_id_of(identity: Any) -> str:  # Any: every type an _id may have
    """`{UserId: 1, VehicleId: 2}` is `1:2`."""
    if isinstance(identity, Mapping):
        return ":".join(str(part) for part in identity.values())
    return str(identity)


def decimal_in(value: Any) -> Decimal | None:  # Any: a stored number or text
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip().replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def member_of(value: Any, members: Sequence[str] | Mapping[int, str]) -> str:  # Any: name or number
    names = members if isinstance(members, Mapping) else dict(enumerate(members))
    text = str(value) if value is not None else ""
    if text.lstrip("-").isdigit():
        return names.get(int(text), "")
    return next((name for name in names.values() if name.lower() == text.lower()), "")


def storable(text: str) -> str:
    """Without what PostgreSQL or JSON cannot hold: control characters and lone surrogates."""
    return _UNPRINTABLE.sub("", text).encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _moment(value: Any) -> datetime | None:  # Any: a stored value
    """PostgreSQL's store holds ISO text of local time."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
