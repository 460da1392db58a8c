from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from motovaultpro.core.security.actor import Scope
from motovaultpro.core.types import Name


def _unique(scopes: list[Scope]) -> list[Scope]:
    return list(dict.fromkeys(scopes))


class ApiKeyCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: Annotated[
        list[Scope], Field(min_length=1, max_length=len(Scope)), AfterValidator(_unique)
    ]
    expires_at: AwareDatetime | None = Field(None, description="None: never.")


class ApiKeyRead(BaseModel):
    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class ApiKeyCreated(ApiKeyRead):
    key: str | None = Field(description="Shown this once; null when the request was repeated.")


class ApiKeysRead(BaseModel):
    items: list[ApiKeyRead]
