"""`Idempotency-Key`: a repeated POST answers what the first one answered, and does nothing again.

The key, the request's hash and the answer live in the same transaction as the change. A concurrent repeat waits on the
primary key until the first has committed or rolled back.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta

import orjson
from fastapi import Request, Response
from sqlalchemy import text

from motovaultpro.core.clock import Clock
from motovaultpro.core.database import AsyncSession, Database
from motovaultpro.core.errors import AppError
from motovaultpro.core.security.actor import Actor

HEADER = "Idempotency-Key"
_KEPT = timedelta(days=1)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotencyKeyError(AppError):
    code = "invalid_idempotency_key"


class IdempotencyConflictError(AppError):
    status = 422
    code = "idempotency_key_reused"


class RepeatedRequestError(AppError):
    """Not a failure: unwinds the repeat to the stored first answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__("repeated")
        self.answer = answer


class Idempotency:
    """One creating request. `begin` before the work, `created` to answer.

    The body of a `streamed` request is left unread: a repeat is known by its address and its length.
    """

    def __init__(
        self, request: Request, session: AsyncSession, actor: Actor, *, streamed: bool = False
    ) -> None:
        self._request = request
        self._session = session
        self._actor = actor
        self._streamed = streamed
        self._key = request.headers.get(HEADER)

    async def begin(self) -> None:
        """Claim the key. Raises `RepeatedRequestError` with the stored answer of an earlier request."""
        if self._key is None:
            return
        if not _KEY.fullmatch(self._key):
            raise IdempotencyKeyError(f"{HEADER} takes 1 to 255 visible ASCII characters.")
        request_hash = await self._request_hash()
        claimed = await self._session.execute(
            text(
                "INSERT INTO idempotency_keys (tenant_id, user_id, key, request_hash)"
                " VALUES (:tenant_id, :user_id, :key, :hash) ON CONFLICT DO NOTHING RETURNING key"
            ),
            {**self._identity(), "hash": request_hash},
        )
        if claimed.one_or_none() is None:
            await self._replay(request_hash)

    async def created(self, body: bytes, *, location: str | None = None) -> Response:
        """Answer 201 with a JSON body, and keep the answer under the key."""
        headers = {} if location is None else {"Location": location}
        if self._key is not None:
            await self._session.execute(
                text(
                    "UPDATE idempotency_keys SET status = 201, headers = CAST(:headers AS jsonb), body = :body"
                    " WHERE tenant_id = :tenant_id AND user_id = :user_id AND key = :key"
                ),
                {**self._identity(), "headers": orjson.dumps(headers).decode(), "body": body},
            )
        return _answer(201, headers, body)

    async def _replay(self, request_hash: bytes) -> None:
        first = (
            await self._session.execute(
                text(
                    "SELECT request_hash, status, headers, body FROM idempotency_keys"
                    " WHERE tenant_id = :tenant_id AND user_id = :user_id AND key = :key"
                ),
                self._identity(),
            )
        ).one()
        if bytes(first.request_hash) != request_hash:
            raise IdempotencyConflictError(
                f"This {HEADER} was used for another request. Make a new key for each new record."
            )
        answer = _answer(first.status, first.headers, bytes(first.body))
        answer.headers["Idempotency-Replayed"] = "true"
        raise RepeatedRequestError(answer)

    async def _request_hash(self) -> bytes:
        target = f"{self._request.method} {self._request.url.path}?{self._request.url.query}\n"
        body = self._length() if self._streamed else await self._request.body()
        return hashlib.sha256(target.encode() + body).digest()

    def _length(self) -> bytes:
        headers = self._request.headers
        # A form's boundary is made anew for a repeat, and not always as long as the first.
        is_form = headers.get("content-type", "").lower().startswith("multipart/")
        return b"" if is_form else headers.get("content-length", "").encode()

    def _identity(self) -> dict[str, object]:
        return {
            "tenant_id": self._actor.tenant_id,
            "user_id": self._actor.user_id,
            "key": self._key,
        }


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    return Response(
        body, status, {"Cache-Control": "no-store", **headers}, media_type="application/json"
    )


async def delete_old(database: Database, clock: Clock) -> None:
    """Forget keys after a day: no client repeats a request for longer."""
    async with database.system_session() as session:
        await session.execute(
            text("DELETE FROM idempotency_keys WHERE created_at < :before"),
            {"before": clock() - _KEPT},
        )
