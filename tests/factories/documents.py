"""Documents through the API, and a look at the files behind them."""

from typing import Any

import httpx

from motovaultpro.core.storage import Storage
from tests.factories.garages import Garage

UPLOADS = "/api/v1/documents"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"


async def upload(
    client: httpx.AsyncClient, content: bytes = PDF, filename: str = "receipt.pdf"
) -> dict[str, Any]:  # Any: JSON
    answer = await client.post(UPLOADS, params={"filename": filename}, content=content)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def stored_keys(garage: Garage) -> list[str]:
    """The keys of all files of the garage in the storage."""
    storage: Storage = garage.app.state.storage
    return [info.key async for info in storage.list(str(garage.tenant_id))]
