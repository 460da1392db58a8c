from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Request, status

from motovaultpro.core.dependencies import (
    CurrentActor,
    CurrentClock,
    CurrentDatabase,
    UnitOfWorkRoute,
)
from motovaultpro.core.http.client import ClientAddress
from motovaultpro.core.security.ratelimit import network
from motovaultpro.features.passwords.schemas import (
    PasswordChange,
    PasswordReset,
    PasswordResetRequest,
)
from motovaultpro.features.passwords.service import PasswordService
from motovaultpro.features.users import facade as users

router = APIRouter(prefix="/api/auth", tags=["sign-in"], route_class=UnitOfWorkRoute)
public_router = APIRouter(prefix="/api/auth", tags=["sign-in"], route_class=UnitOfWorkRoute)


async def _service(
    request: Request, database: CurrentDatabase, clock: CurrentClock
) -> PasswordService:
    return PasswordService(database, request.app.state.passwords, clock)


PasswordChanges = Annotated[PasswordService, Depends(_service)]


@router.post("/password", status_code=status.HTTP_204_NO_CONTENT)
async def change_password(
    request: Request, data: PasswordChange, actor: CurrentActor, passwords: PasswordChanges
) -> None:
    """Change your password. You stay signed in here, and nowhere else."""
    users.require_person(actor)
    await _limit(request, "password of", str(actor.user_id))
    await passwords.change(
        actor, data.current_password.get_secret_value(), data.password.get_secret_value()
    )


@public_router.post("/password-reset", status_code=status.HTTP_202_ACCEPTED)
async def request_password_reset(
    request: Request,
    data: PasswordResetRequest,
    address: ClientAddress,
    passwords: PasswordChanges,
    background: BackgroundTasks,
) -> None:
    """Ask for a link to choose a new password. The answer is the same whether there is such a user or not."""
    await _limit(request, "reset from", network(address))
    await _limit(request, "reset of", data.name.casefold())
    # After the answer, so that its time does not tell either.
    background.add_task(passwords.announce_reset, data.name)


@public_router.post("/password-reset/confirm", status_code=status.HTTP_204_NO_CONTENT)
async def reset_password(
    request: Request, data: PasswordReset, address: ClientAddress, passwords: PasswordChanges
) -> None:
    """Choose a new password by a link. It ends all sessions."""
    await _limit(request, "link from", network(address))
    await passwords.reset(data.token.get_secret_value(), data.password.get_secret_value())


async def _limit(request: Request, *identifiers: str) -> None:
    state = request.app.state
    await state.limiter.hit(state.settings.security.sign_in_rate, *identifiers)
