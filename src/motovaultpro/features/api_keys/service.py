from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession
from motovaultpro.core.errors import FieldError, InvalidError, NotFoundError
from motovaultpro.core.events import Event, publish
from motovaultpro.core.security.actor import Actor
from motovaultpro.core.security.opaque import new_token, token_hash
from motovaultpro.features.api_keys.errors import TooManyKeysError
from motovaultpro.features.api_keys.repository import MAX_KEYS, ApiKeyRepository
from motovaultpro.features.api_keys.schemas import ApiKeyCreate
from motovaultpro.features.users import facade as users


class ApiKeyService:
    """The actor's own keys."""

    def __init__(self, session: AsyncSession, actor: Actor, clock: Clock) -> None:
        users.require_person(actor)
        self._session = session
        self._actor = actor
        self._clock = clock
        self._keys = ApiKeyRepository(session, actor.tenant_id)

    async def create(self, data: ApiKeyCreate) -> tuple[int, bytes, str]:
        """The new key's id and JSON, and the key itself."""
        if data.expires_at is not None and data.expires_at <= self._clock():
            raise InvalidError(
                "The key would have expired already.",
                fields=[FieldError("expires_at", "must be in the future")],
            )
        if await self._keys.count(self._actor.user_id) >= MAX_KEYS:
            raise TooManyKeysError(f"You have {MAX_KEYS} API keys. Delete those you do not use.")
        key = new_token("mvk")
        key_id, body = await self._keys.add(
            self._actor.user_id,
            name=data.name,
            key_hash=token_hash(key),
            scopes=data.scopes,
            expires_at=data.expires_at,
        )
        await self._publish("api_key.created", key_id)
        return key_id, body, key

    async def delete(self, key_id: int) -> None:
        if not await self._keys.delete(key_id, user_id=self._actor.user_id):
            raise NotFoundError("You have no such API key.")
        await self._publish("api_key.deleted", key_id)

    async def _publish(self, event_type: str, key_id: int) -> None:
        event = Event(
            type=event_type,
            tenant_id=self._actor.tenant_id,
            user_id=self._actor.user_id,
            record_id=key_id,
        )
        await publish(self._session, event)
