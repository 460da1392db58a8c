"""Keyset pages: newest first, by day and then id, with an opaque cursor."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query

from motovaultpro.core.errors import FieldError, InvalidError

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_CURSOR = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_([0-9]{1,19})")
_FIRST = ("9999-12-31", 2**63 - 1)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`before_day` and `before_id` name the last row of the page before this one."""

    limit: int
    before_day: str
    before_id: int

    def parameters(self) -> dict[str, Any]:
        return {"limit": self.limit, "before_day": self.before_day, "before_id": self.before_id}


async def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=40, description="`next_cursor` of the page before.")
    ] = None,
) -> PageRequest:
    day, row_id = _FIRST if cursor is None else _parse(cursor)
    return PageRequest(limit, day, row_id)


Page = Annotated[PageRequest, Depends(_page_request)]


def _parse(cursor: str) -> tuple[str, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None or not _is_day(match[1]) or int(match[2]) >= 2**63:
        raise InvalidError(
            "This cursor is not one of ours.",
            fields=[FieldError("cursor", "take next_cursor as it is")],
        )
    return match[1], int(match[2])


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def page_query(*, row: str, table: str, day: str, where: str) -> str:
    """SQL that answers one JSON text `{"items": [...], "next_cursor": ...}`, or NULL without access to the vehicle.

    `row` lists the columns of an item, `table` the FROM clause with `r` as the record, `day` its date column, `where` the
    conditions. Parameters: `vehicle_id`, `user_id`, `role`, those of `PageRequest`, and whatever `where` adds.
    """
    return f"""
        WITH page AS MATERIALIZED (
            SELECT r.*, row_number() OVER (ORDER BY r.{day} DESC, r.id DESC) AS number
              FROM {table} r
             WHERE r.vehicle_id = %(vehicle_id)s AND {where}
               AND (r.{day}, r.id) < (%(before_day)s::date, %(before_id)s::bigint)
             ORDER BY r.{day} DESC, r.id DESC LIMIT %(limit)s::integer + 1
        )
        SELECT CASE WHEN vehicle_access(%(vehicle_id)s, %(user_id)s, %(role)s) > 0 THEN json_build_object(
            'items', (SELECT coalesce(json_agg(item), '[]') FROM (
                SELECT {row} FROM page r WHERE r.number <= %(limit)s ORDER BY r.number) item),
            'next_cursor', (SELECT to_char(last.{day}, 'YYYY-MM-DD_') || last.id FROM page last, page beyond
                WHERE last.number = %(limit)s AND beyond.number = %(limit)s + 1)
        ) END::text
    """  # noqa: S608 - the fragments are constants of our own repositories
