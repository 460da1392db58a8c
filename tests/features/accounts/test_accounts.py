import pytest
from sqlalchemy import text

from motovaultpro.core.database import system_door
from motovaultpro.core.security.actor import Role
from motovaultpro.features.accounts import facade as accounts
from tests.factories.garages import Garage
from tests.factories.logins import add_user, join


async def test_knows_the_roles_in_all_garages_the_oldest_first(
    garage: Garage, other_garage: Garage
) -> None:
    user_id, name = await add_user(garage, role="viewer")
    await join(garage.database, other_garage.tenant_id, user_id, "owner")

    async with garage.database.system_session() as session:
        account = await accounts.account(session, user_id)
        everybody = await accounts.everybody(session)

    assert account is not None
    assert list(account.roles.items()) == [
        (garage.tenant_id, Role.VIEWER),
        (other_garage.tenant_id, Role.OWNER),
    ]
    assert (account.name, account.is_disabled) == (name, False)
    assert account in everybody
    assert "argon2" not in repr(account)


async def test_a_tenants_session_knows_its_own_only(garage: Garage, other_garage: Garage) -> None:
    async with garage.database.session(garage.tenant_id) as session:
        assert await accounts.account(session, other_garage.owner.user_id) is None
        assert await accounts.named(session, other_garage.owner.name) == []


async def test_who_forgot_the_password_is_reached_by_name_before_address(garage: Garage) -> None:
    address = f"{garage.tenant_id}@example.com"
    with_address, _ = await add_user(garage, email=address)
    with_name, _ = await add_user(garage, name=f"{garage.tenant_id}@EXAMPLE.com")

    async with garage.database.system_session() as session:
        found = await accounts.reachable_as(session, address)
        await accounts.set_password(session, with_name, "x")

    assert [account.user_id for account in found] == [with_name]
    assert with_address != with_name


async def test_a_rehash_does_not_undo_a_change_of_the_password(garage: Garage) -> None:
    user_id, _ = await add_user(garage, stored="old")
    async with garage.database.system_session() as session:
        await accounts.set_password(session, user_id, "changed")

        await accounts.rehash_password(session, user_id, "old", "old in another form")

        account = await accounts.account(session, user_id)
    assert account is not None
    assert account.password_hash == "changed"


@pytest.mark.parametrize("start", ["tenant", "system"])
async def test_the_system_door_closes_again(garage: Garage, start: str) -> None:
    opened = (
        garage.database.session(garage.tenant_id)
        if start == "tenant"
        else garage.database.system_session()
    )
    async with opened as session:

        async def tenants() -> int:
            count: int = await session.scalar(text("SELECT count(*) FROM tenants"))
            return count

        before = await tenants()
        async with system_door(session):
            assert await tenants() > 1
        assert await tenants() == before
