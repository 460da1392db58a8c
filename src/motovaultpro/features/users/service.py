from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.errors import ForbiddenError, NotFoundError
from motovaultpro.core.events import Event, publish
from motovaultpro.core.http.etags import Precondition
from motovaultpro.core.security.actor import Actor, Role
from motovaultpro.core.security.passwords import Passwords, check_password_policy
from motovaultpro.core.settings import SecuritySettings
from motovaultpro.features.accounts import facade as accounts
from motovaultpro.features.links import facade as links
from motovaultpro.features.links.contracts import Link, Purpose
from motovaultpro.features.users.contracts import Member
from motovaultpro.features.users.errors import (
    AlreadySetUpError,
    ApiKeyRefusedError,
    LastOwnerError,
    OwnAccountError,
    SharedAccountError,
)
from motovaultpro.features.users.repository import GARAGE, ME, MEMBER, UserRepository
from motovaultpro.features.users.schemas import (
    GarageUpdate,
    MeUpdate,
    SetupRequest,
    UserCreate,
    UserUpdate,
)

SETUP_LINK_LIFETIME = timedelta(days=7)
_ACCOUNT_FIELDS = frozenset({"name", "email", "is_disabled"})


def require_manager(actor: Actor) -> None:
    if not actor.role.at_least(Role.ADMIN):
        raise ForbiddenError("Only owners and administrators of the garage may do this.")


def require_person(actor: Actor) -> None:
    if actor.method == "api_key":
        raise ApiKeyRefusedError("An API key may not do this. Sign in with your password.")


class UserService:
    def __init__(
        self,
        session: AsyncSession,
        actor: Actor,
        *,
        clock: Clock,
        passwords: Passwords,
        settings: SecuritySettings,
    ) -> None:
        self._session = session
        self._actor = actor
        self._clock = clock
        self._passwords = passwords
        self._settings = settings
        self._users = UserRepository(session, actor.tenant_id)

    async def confirm(self, password: SecretStr | None, database: Database) -> None:
        """Raise `InvalidError` unless the actor has given their own password. Before any other work of the request."""
        given = "" if password is None else password.get_secret_value()
        await accounts.confirm_password(database, self._passwords, self._actor.user_id, given)

    async def change_me(self, data: MeUpdate, precondition: Precondition) -> bytes:
        user_id = self._actor.user_id
        await self._users.lock_user(user_id)
        if precondition.is_given:
            precondition.check(await self._me())
        if "email" in data.model_fields_set:
            await self._users.set_email(user_id, data.email)
        fields = sorted(data.model_fields_set - {"current_password"})
        preferences = data.preferences.model_dump(exclude_unset=True)
        if preferences:
            await self._users.merge_preferences(user_id, preferences)
        await self._publish("user.updated", user_id, fields=fields)
        return await self._me()

    async def add(self, data: UserCreate) -> tuple[int, bytes, Link | None]:
        """The new member's id and JSON, and without a password the link to choose one."""
        self._check_rank(data.role)
        password_hash = None
        if data.password is not None:
            password = data.password.get_secret_value()
            check_password_policy(password, data.name)
            password_hash = await self._passwords.hash_password(password)
        user_id = await self._users.add(
            name=data.name, email=data.email, password_hash=password_hash, role=data.role
        )
        link = None if password_hash else await self._create_link(user_id)
        await self._publish("user.created", user_id, role=data.role)
        return user_id, await self._found(MEMBER, member_id=user_id), link

    async def change(self, user_id: int, data: UserUpdate, precondition: Precondition) -> bytes:
        await self._take_turn()
        member = await self._member(user_id)
        if precondition.is_given:
            precondition.check(await self._found(MEMBER, member_id=user_id))
        changes = data.model_dump(exclude_unset=True)
        if "role" in changes:
            self._check_rank(data.role)
        if "email" in changes:
            self._check_not_own(user_id)
        if changes.keys() & _ACCOUNT_FIELDS:
            await self._check_not_shared(user_id)
        changed = replace(member, **changes)
        if changed.role is not Role.OWNER or changed.is_disabled:
            await self._check_not_last_owner(member)
        await self._users.save(changed, now=self._clock())
        await self._publish("user.updated", user_id, fields=sorted(changes))
        return await self._found(MEMBER, member_id=user_id)

    async def remove(self, user_id: int) -> None:
        """End the membership; the account too, unless it belongs to another garage."""
        await self._take_turn()
        await self._check_not_last_owner(await self._member(user_id))
        await self._users.remove(user_id)
        await self._publish("user.removed", user_id)

    async def password_link(self, user_id: int) -> Link:
        await self._member(user_id)
        self._check_not_own(user_id)
        await self._check_not_shared(user_id)
        await self._publish("user.password_link_created", user_id)
        return await self._create_link(user_id)

    async def change_garage(self, data: GarageUpdate, precondition: Precondition) -> bytes:
        await self._take_turn()
        if precondition.is_given:
            precondition.check(await self._found(GARAGE))
        changes = data.model_dump(exclude_unset=True)
        await self._users.save_garage(name=changes.pop("name", None), units=changes)
        await self._publish("garage.updated", None, fields=sorted(data.model_fields_set))
        return await self._found(GARAGE)

    async def _take_turn(self) -> None:
        """Wait for other changes of the garage; who has lost their role by one of them changes nothing any more."""
        await self._users.lock_garage()
        member = await self._users.member(self._actor.user_id)
        if member is None or member.is_disabled:
            raise ForbiddenError("You do not belong to this garage any more.")
        self._actor = replace(self._actor, role=member.role)
        require_manager(self._actor)

    async def _me(self) -> bytes:
        scopes = sorted(self._actor.scopes)
        return await self._found(ME, user_id=self._actor.user_id, scopes=scopes)

    async def _found(self, query: str, **parameters: object) -> bytes:
        body = await self._users.json(query, **parameters)
        if body is None:
            raise _no_such_user()
        return body

    async def _member(self, user_id: int) -> Member:
        """Raise `NotFoundError` for others' members, `ForbiddenError` for one above the actor."""
        member = await self._users.member(user_id)
        if member is None:
            raise _no_such_user()
        self._check_rank(member.role)
        return member

    def _check_rank(self, role: Role) -> None:
        if not self._actor.role.at_least(role):
            raise ForbiddenError("Only an owner may manage owners.")

    def _check_not_own(self, user_id: int) -> None:
        if user_id == self._actor.user_id:
            raise OwnAccountError(
                "Change your own address and password where your current password is asked for."
            )

    async def _check_not_last_owner(self, member: Member) -> None:
        is_owner = member.role is Role.OWNER and not member.is_disabled
        if is_owner and not await self._users.has_owner(besides=member.user_id):
            raise LastOwnerError("This is the garage's last owner. Make somebody else owner first.")

    async def _check_not_shared(self, user_id: int) -> None:
        if await self._users.belongs_elsewhere(user_id):
            raise SharedAccountError(
                "This user also belongs to another garage. Only they can change their account."
            )

    async def _create_link(self, user_id: int) -> Link:
        return await links.create(
            self._session,
            Purpose.RESET,
            user_id=user_id,
            now=self._clock(),
            lifetime=self._settings.reset_token_lifetime,
        )

    async def _publish(self, event_type: str, subject_id: int | None, **data: object) -> None:
        event = Event(
            type=event_type,
            tenant_id=self._actor.tenant_id,
            user_id=self._actor.user_id,
            record_id=subject_id,
            data=data,
        )
        await publish(self._session, event)


async def make_setup_link(database: Database, clock: Clock) -> Link | None:
    """A new link to make the first owner with, which replaces the one before; None once there is an owner."""
    async with database.system_session() as session:
        if await UserRepository(session, await accounts.first_tenant(session)).has_owner():
            return None
        return await links.create(session, Purpose.SETUP, now=clock(), lifetime=SETUP_LINK_LIFETIME)


async def make_first_owner(
    data: SetupRequest, *, database: Database, passwords: Passwords, clock: Clock
) -> int:
    """The owner's id. Raises `LinkError`, `AlreadySetUpError`, `InvalidError` and `NameTakenError`."""
    token, password = data.token.get_secret_value(), data.password.get_secret_value()
    async with database.system_session() as session:
        await links.check(session, Purpose.SETUP, token, now=clock())
    check_password_policy(password, data.name)
    password_hash = await passwords.hash_password(password)  # between transactions: it takes long
    async with database.system_session() as session:
        await links.take(session, Purpose.SETUP, token, now=clock())
        tenant_id = await accounts.first_tenant(session)
        users = UserRepository(session, tenant_id)
        await users.lock_garage()
        if await users.has_owner():
            raise AlreadySetUpError("There is an owner already. Ask them to add you.")
        await users.save_garage(name=data.garage)
        user_id = await users.add(
            name=data.name, email=None, password_hash=password_hash, role=Role.OWNER
        )
        event = Event(type="user.created", tenant_id=tenant_id, user_id=user_id, record_id=user_id)
        await publish(session, event)
    return user_id


def _no_such_user() -> NotFoundError:
    return NotFoundError("There is no such user in your garage.")
