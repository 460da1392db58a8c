"""What the capsules above and an import rely on."""

import hashlib

import pytest

from motovaultpro.core.errors import NotFoundError
from motovaultpro.core.security.actor import Role
from motovaultpro.core.units import DistanceUnit, VolumeUnit
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.users import facade as users
from motovaultpro.features.users.contracts import EconomyStyle, Member, Preferences, Units
from motovaultpro.features.users.errors import EmailTakenError, NameTakenError
from tests.factories.garages import Garage, anonymous_client
from tests.factories.logins import bearer, log_in

METRIC = Units("EUR", DistanceUnit.KM, VolumeUnit.L)


async def test_units_come_from_the_user_then_from_the_garage(garage: Garage) -> None:
    tenant_id, user_id = garage.tenant_id, garage.owner.user_id
    async with garage.database.session(tenant_id) as session:
        assert await users.units_for(session, tenant_id, user_id) == Units(
            "USD", DistanceUnit.MI, VolumeUnit.US_GAL
        )
    metric = {"currency": "EUR", "distance_unit": "km", "volume_unit": "l"}
    assert (await garage.client.patch("/api/v1/garage", json=metric)).status_code == 200
    async with garage.database.session(tenant_id) as session:
        assert await users.garage_defaults(session, tenant_id) == METRIC
        await users.set_preferences(session, tenant_id, user_id, {"currency": "CHF"})

        units = await users.units_for(session, tenant_id, user_id)

    assert units == Units("CHF", DistanceUnit.KM, VolumeUnit.L)


async def test_preferences_are_typed(garage: Garage) -> None:
    tenant_id, user_id = garage.tenant_id, garage.owner.user_id
    async with garage.database.session(tenant_id) as session:
        assert await users.preferences(session, tenant_id, user_id) == Preferences()
        await users.set_preferences(
            session,
            tenant_id,
            user_id,
            {
                "distance_unit": DistanceUnit.KM,
                "economy_style": EconomyStyle.KM_PER_L,
                "auto_odometer": True,
                "lubelogger": {"HideZero": True},
            },
        )

        preferences = await users.preferences(session, tenant_id, user_id)

    assert preferences == Preferences(
        distance_unit=DistanceUnit.KM,
        economy_style=EconomyStyle.KM_PER_L,
        auto_odometer=True,
        lubelogger={"HideZero": True},
    )


async def test_knows_members_of_the_garage_only(garage: Garage, other_garage: Garage) -> None:
    stranger = other_garage.owner.user_id
    async with garage.database.session(garage.tenant_id) as session:
        assert await users.role_of(session, garage.tenant_id, garage.owner.user_id) is Role.OWNER
        assert await users.role_of(session, garage.tenant_id, stranger) is None
        with pytest.raises(NotFoundError):
            await users.preferences(session, garage.tenant_id, stranger)
        with pytest.raises(NotFoundError):
            await users.garage_defaults(session, other_garage.tenant_id)
        assert await users.members(session, garage.tenant_id) == (
            Member(garage.owner.user_id, garage.owner.name, None, Role.OWNER, is_disabled=False),
        )


@pytest.mark.parametrize("door", ["tenant", "system"])
async def test_an_imported_user_signs_in_with_the_old_password_and_can_be_rolled_back(
    garage: Garage, door: str
) -> None:
    tenant_id, name = garage.tenant_id, f"imported-{garage.tenant_id}"
    opened = (
        garage.database.session(tenant_id) if door == "tenant" else garage.database.system_session()
    )
    async with opened as session:
        user_id = await users.create_imported_user(
            session,
            tenant_id,
            role=Role.ADMIN,
            name=name,
            email=f"{tenant_id}@example.com",
            password_sha256=hashlib.sha256(b"1234").hexdigest().upper(),
        )
    async with garage.database.system_session() as session:
        assert await accounts.find(session, name=name.upper()) == user_id

    async with anonymous_client(garage.app) as guest:
        headers = bearer((await log_in(guest, name, "1234"))["token"])
        assert (await guest.get("/api/v1/me", headers=headers)).json()["role"] == "admin"
        async with garage.database.session(tenant_id) as session:
            await users.remove_user(session, tenant_id, user_id)
        async with garage.database.system_session() as session:
            assert await accounts.account(session, user_id) is None


async def test_an_imported_root_user_is_found_again_after_getting_a_name(garage: Garage) -> None:
    root = f"root-{garage.tenant_id}"
    digest = hashlib.sha256(root.encode()).digest()
    async with garage.database.session(garage.tenant_id) as session:
        user_id = await users.create_imported_user(
            session,
            garage.tenant_id,
            role=Role.OWNER,
            name_sha256=digest,
            password_sha256=hashlib.sha256(b"1234").hexdigest(),
        )
    async with anonymous_client(garage.app) as guest:
        await log_in(guest, root, "1234")

    async with garage.database.system_session() as session:
        assert await accounts.find(session, name_sha256=digest) == user_id
        assert await accounts.find(session, name=root) == user_id
        assert await accounts.find(session, name="nobody at all") is None


async def test_an_imported_user_cannot_take_a_name_or_an_address(garage: Garage) -> None:
    member = await garage.member("member")
    email = f"{garage.tenant_id}@example.com"
    await garage.client.patch(f"/api/v1/users/{member.user_id}", json={"email": email})

    with pytest.raises(NameTakenError):
        async with garage.database.session(garage.tenant_id) as session:
            await users.create_imported_user(
                session, garage.tenant_id, role=Role.MEMBER, name=member.name
            )
    with pytest.raises(EmailTakenError):
        async with garage.database.session(garage.tenant_id) as session:
            await users.create_imported_user(
                session, garage.tenant_id, role=Role.MEMBER, name="new", email=email
            )
    assert await garage.count("memberships") == 2
