"""Names, addresses and keys that are taken: nobody's account is taken over."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from motovaultpro.core.security.actor import Role
from motovaultpro.features.users import facade as users
from motovaultpro.features.users.contracts import Member
from motovaultpro.lubelogger.importer import Level, Report, Target, roll_back
from tests.factories.garages import Garage
from tests.factories.lubelogger import Document, access, sha256, user, vehicle, write_backup
from tests.lubelogger.importer.conftest import Import


@pytest.fixture
def name(garage: Garage) -> str:
    """Names are the installation's, not the garage's: each test has its own."""
    return f"bob-{garage.tenant_id.hex[-12:]}"


@pytest.fixture
def install(tmp_path: Path) -> Any:  # Any: a function with keywords
    def write(*people: Document, keys: Sequence[Document] = (), **config: Any) -> Path:
        return write_backup(
            tmp_path / "backup.zip",
            {
                "vehicles": [vehicle()],
                "userrecords": people,
                "useraccessrecords": [access(p["_id"]) for p in people],
                "userconfigrecords": [
                    {"_id": p["_id"], "UserConfig": {"UseDarkMode": True}} for p in people
                ],
                "apikeyrecords": keys,
            },
            root_config=config or None,
        )

    return write


async def members(garage: Garage) -> dict[str | None, Member]:
    async with garage.database.session(garage.tenant_id) as session:
        return {m.name: m for m in await users.members(session, garage.tenant_id)}


async def password(garage: Garage, user_id: int) -> str | None:
    async with garage.database.system_session() as session:
        stored: str | None = await session.scalar(
            text("SELECT password_hash FROM users WHERE id = :id"), {"id": user_id}
        )
        return stored


async def add(garage: Garage, name: str, email: str | None = None) -> int:
    async with garage.database.session(garage.tenant_id) as session:
        return await users.create_imported_user(
            session,
            garage.tenant_id,
            role=Role.VIEWER,
            name=name,
            email=email,
            password_sha256="ab" * 32,
        )


def warnings(report: Report) -> list[str]:
    return [f.message for f in report.findings if f.level is Level.WARNING]


async def test_a_member_with_the_same_name_is_linked(
    run_import: Import, garage: Garage, install: Any, name: str, target: Target
) -> None:
    existing = await add(garage, name.upper())
    async with garage.database.session(garage.tenant_id) as session:
        await users.set_preferences(session, garage.tenant_id, existing, {"theme": "light"})

    report = await run_import(install(user(1, name, IsAdmin=True)))

    member = (await members(garage))[name.upper()]
    assert (member.user_id, member.role) == (existing, Role.VIEWER)
    assert await password(garage, existing) == "lubelogger-sha256$" + "ab" * 32
    assert await garage.count("shares") == 1
    async with garage.database.session(garage.tenant_id) as session:
        preferences = await users.preferences(session, garage.tenant_id, existing)
    assert (preferences.theme, preferences.lubelogger) == ("light", {"UseDarkMode": True})

    await roll_back(target, report.run or 0)
    assert name.upper() in await members(garage)
    async with garage.database.session(garage.tenant_id) as session:
        assert not (await users.preferences(session, garage.tenant_id, existing)).lubelogger


async def test_a_name_of_another_garage_gets_a_number(
    run_import: Import, garage: Garage, other_garage: Garage, install: Any, name: str
) -> None:
    stranger = await add(other_garage, name)
    await add(other_garage, f"{name}-2")

    report = await run_import(install(user(1, name)))

    assert f"{name}-3" in await members(garage)
    assert await password(other_garage, stranger) == "lubelogger-sha256$" + "ab" * 32
    assert warnings(report) == [
        f"'{name}' is taken in another garage; the user is called '{name}-3'"
    ]


async def test_an_address_of_another_account_is_left_with_it(
    run_import: Import, garage: Garage, other_garage: Garage, install: Any, name: str
) -> None:
    await add(other_garage, f"{name}-other", f"{name}@example.org")

    report = await run_import(install(user(1, name)))

    assert (await members(garage))[name].email is None
    assert "belongs to another account" in warnings(report)[0]


async def test_the_root_user_of_two_garages_is_left_out_of_the_second(
    run_import: Import,
    other_garage: Garage,
    install: Any,
    name: str,
    target: Target,
) -> None:
    path = install(UserNameHash=sha256(name), UserPasswordHash=sha256("x"))
    await run_import(path)
    report = await run_import(path, into=replace(target, tenant_id=other_garage.tenant_id))

    assert warnings(report) == ["the root user has an account in another garage already; left out"]
    assert None not in await members(other_garage)
    again = await run_import(path, into=replace(target, tenant_id=other_garage.tenant_id))
    assert again.run is None


async def test_the_root_user_who_is_a_member_already_is_linked(
    run_import: Import, garage: Garage, install: Any, name: str
) -> None:
    existing = await add(garage, name)

    await run_import(install(UserNameHash=sha256(name), UserPasswordHash=sha256("x")))

    assert (await members(garage))[name] == Member(existing, name, None, Role.VIEWER, False)
    assert None not in await members(garage)


async def test_an_account_that_changed_there_stays_as_it_is_here(
    run_import: Import, garage: Garage, install: Any, name: str
) -> None:
    await run_import(install(user(1, name)))
    before = await password(garage, (await members(garage))[name].user_id)

    report = await run_import(install(user(1, name, Password=sha256("other"))))

    assert warnings(report) == ["changed in LubeLogger; the account here stays as it is"]
    assert await password(garage, (await members(garage))[name].user_id) == before
    assert (await run_import(install(user(1, name, Password=sha256("other"))))).run is None


async def test_a_user_who_was_removed_here_stays_away(
    run_import: Import, garage: Garage, install: Any, name: str
) -> None:
    await run_import(install(user(1, name)))
    async with garage.database.session(garage.tenant_id) as session:
        member = (await members(garage))[name]
        await users.remove_user(session, garage.tenant_id, member.user_id)

    report = await run_import(install(user(1, name), user(2, f"{name}-b")))

    assert name not in await members(garage)
    assert next(s for s in report.steps if s.name == "userrecords").deleted_here == ["1"]


async def test_keys_change_with_the_source_and_never_serve_two_garages(
    run_import: Import,
    garage: Garage,
    other_garage: Garage,
    install: Any,
    name: str,
    target: Target,
) -> None:
    def key(number: int, title: str, *scopes: str) -> Document:
        return {
            "_id": number,
            "UserId": 1,
            "Name": title,
            "Key": sha256(f"{name}{number}"),
            "Permissions": list(scopes),
        }

    await run_import(install(user(1, name), keys=[key(1, "Home", "View")]))
    changed = install(user(1, name), keys=[key(1, "Home", "Edit"), key(2, "Home", "View")])
    await run_import(changed)

    async with garage.database.session(garage.tenant_id) as session:
        found = (await session.execute(text("SELECT name, scopes FROM api_keys ORDER BY id"))).all()
    assert sorted(map(tuple, found)) == [("Home", ["edit"]), ("Home-2", ["view"])]
    report = await run_import(changed, into=replace(target, tenant_id=other_garage.tenant_id))
    assert warnings(report).count("is in use here already; left out") == 2
