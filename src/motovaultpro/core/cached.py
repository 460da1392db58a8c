"""Dataclasses in the cache."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from motovaultpro.core.cache import Cache

T = TypeVar("T")

_PARSED = 10_000


class Cached(Generic[T]):
    """Values of one type, kept under one name in the scopes of a cache.

    The same bytes are parsed once in a process: what comes back is shared, so the type must be immutable.
    """

    def __init__(self, cache: Cache, kind: type[T], *, name: str) -> None:
        self._cache = cache
        self._name = name
        self._adapter = TypeAdapter(kind)
        self._parse: Callable[[bytes], T] = lru_cache(_PARSED)(self._adapter.validate_json)

    async def get(self, scope: str, load: Callable[[], Awaitable[T | None]]) -> T | None:
        """The value of the scope; None is answered but never kept."""

        async def load_json() -> bytes | None:
            value = await load()
            return None if value is None else self._adapter.dump_json(value)

        body = await self._cache.get_or_load(scope, self._name, load_json)
        return None if body is None else self._parse(body)
