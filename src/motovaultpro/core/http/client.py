"""The other end of a request."""

from typing import Annotated

from fastapi import Depends, Request


def client_address(request: Request) -> str:
    """As the outermost trusted proxy saw it (`core/http/proxies.py`)."""
    return request.client.host if request.client is not None else ""


async def _client_address(request: Request) -> str:
    return client_address(request)


ClientAddress = Annotated[str, Depends(_client_address)]
