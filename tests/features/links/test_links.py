import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from motovaultpro.core.clock import system_clock
from motovaultpro.core.errors import AppError
from motovaultpro.features.links import facade as links
from motovaultpro.features.links.contracts import Link, Purpose
from motovaultpro.features.links.tasks import delete_expired_links
from tests.factories.garages import Garage

HOUR = timedelta(hours=1)


async def make(garage: Garage, lifetime: timedelta = HOUR) -> Link:
    async with garage.database.session(garage.tenant_id) as session:
        return await links.create(
            session,
            Purpose.RESET,
            user_id=garage.owner.user_id,
            now=system_clock(),
            lifetime=lifetime,
        )


def token(link: Link) -> str:
    return link.path.partition("token=")[2]


async def take(garage: Garage, link: Link) -> int | None:
    async with garage.database.system_session() as session:
        return await links.take(session, Purpose.RESET, token(link), now=system_clock())


async def test_of_two_who_come_at_once_one_gets_through(garage: Garage) -> None:
    link = await make(garage)

    results = await asyncio.gather(take(garage, link), take(garage, link), return_exceptions=True)

    assert garage.owner.user_id in results
    assert [type(result).__name__ for result in results if result != garage.owner.user_id] == [
        "LinkError"
    ]


async def test_a_change_that_fails_leaves_the_link_usable(garage: Garage) -> None:
    link = await make(garage)

    async def fail() -> None:
        async with garage.database.system_session() as session:
            await links.take(session, Purpose.RESET, token(link), now=system_clock())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await take(garage, link) == garage.owner.user_id


async def test_a_tenants_session_sees_no_links(garage: Garage) -> None:
    link = await make(garage)

    async with garage.database.session(garage.tenant_id) as session:
        await links.check(session, Purpose.RESET, token(link), now=system_clock())
        seen = await session.scalar(text("SELECT count(*) FROM one_time_tokens"))

    assert seen == 0


async def test_shows_no_token_in_a_log(garage: Garage) -> None:
    link = await make(garage)

    assert token(link) not in repr(link)


async def test_expired_links_are_cleared_away(garage: Garage) -> None:
    await make(garage, timedelta(seconds=-1))

    await delete_expired_links(garage.database, system_clock)

    async with garage.database.system_session() as session:
        left = await session.scalar(
            text("SELECT count(*) FROM one_time_tokens WHERE user_id = :user"),
            {"user": garage.owner.user_id},
        )
    assert left == 0


async def test_a_link_of_another_purpose_is_none(garage: Garage) -> None:
    link = await make(garage)

    with pytest.raises(AppError):
        async with garage.database.system_session() as session:
            await links.take(session, Purpose.SETUP, token(link), now=system_clock())
    assert await take(garage, link) == garage.owner.user_id
