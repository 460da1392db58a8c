"""The steps for users, their preferences and their API keys. Nobody's account is ever taken over."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import count
from typing import Any

from typing_extensions import override

from motovaultpro.core.database import system_door
from motovaultpro.core.errors import ConflictError
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.api_keys import facade as api_keys
from motovaultpro.features.users import facade as users
from motovaultpro.features.users.contracts import Member, Preferences
from motovaultpro.lubelogger.importer.findings import Level
from motovaultpro.lubelogger.importer.items import ApiKey, Item, User, UserPreferences
from motovaultpro.lubelogger.importer.people import API_KEYS, PREFERENCES, USERS
from motovaultpro.lubelogger.importer.repository import Stored
from motovaultpro.lubelogger.importer.steps import Created, Step
from motovaultpro.lubelogger.importer.store import Unit


class UserStep(Step[User]):
    """A member of the garage with the same name is the same person: linked, with role and password as they are here.
    A name that an account of another garage has gets a number.
    """

    def __init__(self, items: Sequence[Item[User]] = ()) -> None:
        super().__init__(USERS, "users", items)

    @override
    async def create(self, unit: Unit, items: Sequence[Item[User]]) -> Created:
        created: Created = {}
        members = await users.members(unit.session, unit.tenant_id)
        for item in items:
            known = next((m for m in members if _is_same(m, item.value)), None)
            if known is not None:
                self._note(
                    unit, item, f"'{known.name}' is a member already; linked, nothing changed"
                )
                created[item.source_id] = (known.user_id, True)
            elif (user_id := await self._hash_known(unit, item)) is not None:
                created[item.source_id] = (user_id, True)
            else:
                created[item.source_id] = (await self._add(unit, item), False)
        return created

    @override
    async def update(self, unit: Unit, item: Item[User], _stored: Stored) -> bool:
        """Accounts live their own lives here: a password of later is not replaced by one of earlier."""
        self._note(
            unit, item, "changed in LubeLogger; the account here stays as it is", Level.WARNING
        )
        return True

    @override
    async def gone(self, unit: Unit, stored: dict[str, Stored]) -> set[str]:
        present = {m.user_id for m in await users.members(unit.session, unit.tenant_id)}
        return {source_id for source_id, item in stored.items() if item.record_id not in present}

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for item in stored.values():
            await users.remove_user(unit.session, unit.tenant_id, item.record_id)

    async def _hash_known(self, unit: Unit, item: Item[User]) -> int | None:
        """The id of a member whom an earlier import brought under the same hash, 0 if it is an account of another garage."""
        if item.value.name_sha256 is None:
            return None
        async with system_door(unit.session):
            user_id = await accounts.find(unit.session, name_sha256=item.value.name_sha256)
        if user_id is None:
            return None
        if await users.role_of(unit.session, unit.tenant_id, user_id) is None:
            message = "the root user has an account in another garage already; left out"
            self._note(unit, item, message, Level.WARNING)
            return 0
        return user_id

    async def _add(self, unit: Unit, item: Item[User]) -> int:
        name, email = item.value.name, item.value.email
        numbers = count(2)
        while True:
            try:
                async with unit.session.begin_nested():
                    user_id = await users.create_imported_user(
                        unit.session,
                        unit.tenant_id,
                        role=item.value.role,
                        name=name,
                        name_sha256=item.value.name_sha256,
                        email=email,
                        password_sha256=item.value.password or None,
                    )
            except ConflictError as error:
                if error.code == "email_taken":
                    message = f"{email} belongs to another account; the user has none"
                    self._note(unit, item, message, Level.WARNING)
                    email = None
                else:
                    name = f"{item.value.name}-{next(numbers)}"
            else:
                break
        if name != item.value.name:
            message = f"'{item.value.name}' is taken in another garage; the user is called '{name}'"
            self._note(unit, item, message, Level.WARNING)
        return user_id

    def _note(self, unit: Unit, item: Item[User], message: str, level: Level = Level.NOTE) -> None:
        unit.findings.add(level, self.name, item.source_id, "UserName", message)


class PreferenceStep(Step[UserPreferences]):
    """Who had an account here before keeps their own choices; LubeLogger's settings are kept beside them."""

    def __init__(self, items: Sequence[Item[UserPreferences]] = ()) -> None:
        super().__init__(PREFERENCES, "preferences", items)

    @override
    def needs(self, item: Item[UserPreferences]) -> list[tuple[str, str]]:
        return [(USERS, item.value.user)]

    @override
    async def create(self, unit: Unit, items: Sequence[Item[UserPreferences]]) -> Created:
        created: Created = {}
        for item in items:
            user = (await unit.stored(USERS)).get(item.value.user)
            if user is None:
                continue
            changes = _changes(item.value.preferences, only_lubelogger=user.is_linked)
            await users.set_preferences(unit.session, unit.tenant_id, user.record_id, changes)
            created[item.source_id] = (user.record_id, False)
        return created

    @override
    async def update(self, unit: Unit, item: Item[UserPreferences], stored: Stored) -> bool:
        return await self.create(unit, [item]) == {item.source_id: (stored.record_id, False)}

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for item in stored.values():
            await users.set_preferences(
                unit.session, unit.tenant_id, item.record_id, {"lubelogger": None}
            )


class ApiKeyStep(Step[ApiKey]):
    def __init__(self, items: Sequence[Item[ApiKey]] = ()) -> None:
        super().__init__(API_KEYS, "API keys", items)

    @override
    def needs(self, item: Item[ApiKey]) -> list[tuple[str, str]]:
        return [(USERS, item.value.user)]

    @override
    async def create(self, unit: Unit, items: Sequence[Item[ApiKey]]) -> Created:
        created: Created = {}
        for item in items:
            user_id = await unit.record_id(USERS, item.value.user)
            if user_id is None:
                continue
            if await users.role_of(unit.session, unit.tenant_id, user_id) is None:
                continue
            known = (await unit.stored(API_KEYS)).get(item.source_id)
            grant = await api_keys.grant(unit.database, bytes.fromhex(item.value.key_sha256))
            if grant and not (known and known.record_id == grant.id):
                self._note(unit, item, "is in use here already; left out")
                created[item.source_id] = (0, True)
                continue
            created[item.source_id] = (await self._add(unit, item, user_id), False)
        return created

    @override
    async def update(self, unit: Unit, _item: Item[ApiKey], stored: Stored) -> bool:
        await api_keys.remove_api_key(unit.session, unit.tenant_id, stored.record_id)
        return False

    @override
    async def remove(self, unit: Unit, stored: dict[str, Stored]) -> None:
        for item in stored.values():
            await api_keys.remove_api_key(unit.session, unit.tenant_id, item.record_id)

    async def _add(self, unit: Unit, item: Item[ApiKey], user_id: int) -> int:
        name = item.value.name
        for number in count(2):
            try:
                async with unit.session.begin_nested():
                    return await api_keys.import_api_key(
                        unit.session,
                        unit.tenant_id,
                        user_id,
                        name=name,
                        sha256=item.value.key_sha256,
                        scopes=item.value.scopes,
                    )
            except ConflictError:
                name = f"{item.value.name}-{number}"
        raise AssertionError  # unreachable: numbers do not end

    def _note(self, unit: Unit, item: Item[ApiKey], message: str) -> None:
        unit.findings.add(Level.WARNING, self.name, item.source_id, "Key", message)


def _is_same(member: Member, user: User) -> bool:
    if member.name is None:
        return False
    if user.name is not None:
        return member.name.lower() == user.name.lower()
    hashes = {sha256(name.encode()).digest() for name in (member.name, member.name.lower())}
    return user.name_sha256 in hashes


def _changes(preferences: Preferences, *, only_lubelogger: bool) -> Mapping[str, Any]:  # Any: JSON
    changes = asdict(preferences)
    return {"lubelogger": changes["lubelogger"]} if only_lubelogger else changes
