"""The other end of a request."""

from typing import Annotated

from fastapi import Depends, Request


def client_address(request: Request) -> str:
    """As the outermost trusted proxy saw it (`core/http/proxies.py`)."""
    return request.client.host if request.client is not None else ""


ClientAddress = Annotated[str, Depends(client_address)]
