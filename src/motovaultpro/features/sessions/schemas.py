from datetime import datetime

from pydantic import BaseModel

from motovaultpro.features.sessions.contracts import SessionKind


class SessionRead(BaseModel):
    id: int
    kind: SessionKind
    user_agent: str
    address: str
    is_remembered: bool
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool


class SessionsRead(BaseModel):
    items: list[SessionRead]
