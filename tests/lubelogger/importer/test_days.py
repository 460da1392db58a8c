from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from motovaultpro.lubelogger.importer.days import DayReader, check_date_format, day_of

FIRST_OF_MAY = date(2024, 5, 1)


@pytest.mark.parametrize(
    "stored",
    [
        datetime(2024, 5, 1, tzinfo=UTC),  # a container without a zone
        datetime(2024, 4, 30, 22, tzinfo=UTC),  # Berlin
        datetime(2024, 5, 1, 6, tzinfo=UTC),  # Denver
        datetime(2024, 5, 1, 11, tzinfo=UTC),  # Pago Pago
        datetime(2024, 4, 30, 12, tzinfo=UTC),  # Auckland in winter
    ],
)
def test_a_local_midnight_is_the_day_it_was_typed(stored: datetime) -> None:
    assert day_of(stored, None) == FIRST_OF_MAY


def test_a_known_zone_decides() -> None:
    auckland_in_summer = datetime(2024, 1, 9, 11, tzinfo=UTC)

    assert day_of(auckland_in_summer, None) == date(2024, 1, 9)
    assert day_of(auckland_in_summer, ZoneInfo("Pacific/Auckland")) == date(2024, 1, 10)


def test_local_time_needs_no_zone() -> None:
    assert day_of(datetime(2024, 5, 1, 23, 59), ZoneInfo("Europe/Berlin")) == FIRST_OF_MAY  # noqa: DTZ001 - PostgreSQL's store has none


@pytest.mark.parametrize(
    "text",
    ["2024-05-01", "2024/5/1", "2024. 05. 01".replace(". ", "."), "01.05.2024", "1.5.24", "1. 5. 2024",
     "2024-05-01T00:00:00", "1 May 2024", "May 1, 2024", "01-May-24", "Wednesday, May 1, 2024"],
)  # fmt: skip
def test_reads_what_is_certain(text: str) -> None:
    assert DayReader([]).read(text) == FIRST_OF_MAY


@pytest.mark.parametrize("text", ["05/01/2024", "yesterday", "", "31/31/2024", "2024-13-01", "0"])
def test_does_not_guess(text: str) -> None:
    assert DayReader([]).read(text) is None


def test_the_same_day_either_way_is_certain() -> None:
    assert DayReader([]).read("5/5/2024") == date(2024, 5, 5)


def test_a_given_format_decides() -> None:
    assert DayReader([], date_format="MM/dd/yyyy").read("05/01/2024") == FIRST_OF_MAY
    assert DayReader([], date_format="dd/MM/yyyy").read("05/01/2024") == date(2024, 1, 5)
    assert DayReader([], date_format="%d|%m|%Y").read("01|05|2024") == FIRST_OF_MAY


def test_other_days_of_the_file_are_evidence() -> None:
    assert DayReader(["12/31/2023"]).read("05/01/2024") == FIRST_OF_MAY
    assert DayReader(["31/12/2023 12:00:00 AM"]).read("05/01/2024") == date(2024, 1, 5)
    assert DayReader(["31/12/2023", "12/31/2023"]).read("05/01/2024") is None
    assert DayReader(["31.12.2023"]).read("05/01/2024") is None


def test_the_culture_is_evidence() -> None:
    assert DayReader([], culture="en-US").read("5/1/2024 12:00:00 AM") == FIRST_OF_MAY
    assert DayReader([], culture="en_GB").read("1/5/24") == FIRST_OF_MAY
    assert DayReader(["31/12/2023"], culture="en_US").read("1/5/2024") == FIRST_OF_MAY


@pytest.mark.parametrize("date_format", ["dd/yyyy", "", "europe", "%Y-%m"])
def test_refuses_what_is_no_format(date_format: str) -> None:
    with pytest.raises(ValueError, match="no date format"):
        check_date_format(date_format)


@pytest.mark.parametrize("date_format", ["d/M/yyyy", "yyyy.MM.dd", "%d %b %y"])
def test_takes_formats(date_format: str) -> None:
    check_date_format(date_format)
