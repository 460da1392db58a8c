from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response, status

from motovaultpro.core.dependencies import CurrentActor, DbSession, UnitOfWorkRoute
from motovaultpro.core.errors import ForbiddenError
from motovaultpro.core.security.actor import Role
from motovaultpro.core.security.credentials import SESSION_COOKIE
from motovaultpro.core.security.same_origin import check_same_origin
from motovaultpro.features.sessions import facade as sessions
from motovaultpro.features.sign_in.dependencies import CurrentClient, CurrentSignIn, LoginBody
from motovaultpro.features.sign_in.schemas import (
    JsonWebKeySet,
    LoginRequest,
    RefreshRequest,
    TokenAnswer,
)
from motovaultpro.features.users import facade as users

router = APIRouter(tags=["sign-in"], route_class=UnitOfWorkRoute)
public_router = APIRouter(tags=["sign-in"], route_class=UnitOfWorkRoute)

# The longest that browsers keep a cookie. A session's end is decided here, not by them.
_COOKIE_SECONDS = 400 * 24 * 3600

_LOGIN_SCHEMA = {"schema": LoginRequest.model_json_schema()}
_LOGIN_BODY: dict[str, Any] = {  # Any: part of an OpenAPI document
    "requestBody": {
        "required": True,
        "content": {
            "application/json": _LOGIN_SCHEMA,
            "application/x-www-form-urlencoded": _LOGIN_SCHEMA,
            "multipart/form-data": _LOGIN_SCHEMA,
        },
    }
}


@public_router.post(
    "/api/auth/login",
    response_model=TokenAnswer,
    responses={204: {"description": "Signed in by cookie."}},
    openapi_extra=_LOGIN_BODY,
)
async def log_in(
    request: Request, data: LoginBody, sign_in: CurrentSignIn, client: CurrentClient
) -> Response:
    """Sign in with name and password, as JSON or form: for tokens, or with `session: cookie` for a cookie."""
    is_cookie = data.session == "cookie"
    public_url = request.app.state.settings.server.public_url
    if is_cookie:  # else another site could sign its visitor in as somebody else
        check_same_origin(request.method, request.headers, public_url)
    user = await sign_in.check_login(
        data.name, data.password.get_secret_value(), address=client.address, method="password"
    )
    if not is_cookie:
        return _answer(TokenAnswer.of(await sign_in.start_tokens(user, client)))
    token = await sign_in.sessions.start_cookie(
        user.user_id, user.home, client, is_remembered=data.remember
    )
    answer = Response(None, status.HTTP_204_NO_CONTENT)
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=_COOKIE_SECONDS if data.remember else None,
        secure=public_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return answer


@public_router.post("/api/auth/refresh", response_model=TokenAnswer)
async def refresh(data: RefreshRequest, sign_in: CurrentSignIn) -> Response:
    """Exchange a refresh token for new tokens. Each is good for one exchange; a second one ends the session."""
    return _answer(TokenAnswer.of(await sign_in.refresh(data.refresh_token.get_secret_value())))


@public_router.get("/auth/jwks.json", response_model=JsonWebKeySet)
async def public_keys(sign_in: CurrentSignIn) -> Response:
    """The public keys that verify our access tokens."""
    return Response(
        await sign_in.tokens.public_keys(),
        headers={"Cache-Control": "public, max-age=60"},
        media_type="application/json",
    )


@router.post("/api/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def log_out(session: DbSession, actor: CurrentActor, sign_in: CurrentSignIn) -> Response:
    """End this session."""
    users.require_person(actor)
    sign_in.forget(actor.user_id)
    if actor.session_id is not None:
        await sessions.end(session, actor.user_id, actor.session_id)
    return _signed_out()


@router.post("/api/auth/logout-everywhere", status_code=status.HTTP_204_NO_CONTENT)
async def log_out_everywhere(
    session: DbSession, actor: CurrentActor, sign_in: CurrentSignIn
) -> Response:
    """End all your sessions in all garages. API keys stay."""
    users.require_person(actor)
    sign_in.forget(actor.user_id)
    await sessions.end_all(session, actor.user_id)
    return _signed_out()


@router.get("/auth/verify", response_class=Response)
async def verify(
    actor: CurrentActor,
    role: Annotated[Role, Query(description="The least role to let through.")] = Role.VIEWER,
) -> Response:
    """For a proxy's forwardAuth: 200 with who it is (percent-encoded UTF-8), 401, or 403 below `role`."""
    if not actor.role.at_least(role):
        raise ForbiddenError(f"This is for the role '{role}' and above.")
    return Response(
        headers={
            "X-Auth-User": quote(actor.name, safe="@ "),
            "X-Auth-Roles": actor.role.value,
            "X-Auth-Tenant": str(actor.tenant_id),
            "Cache-Control": "no-store",
        }
    )


def _answer(tokens: TokenAnswer) -> Response:
    return Response(
        tokens.model_dump_json(),
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


def _signed_out() -> Response:
    answer = Response(None, status.HTTP_204_NO_CONTENT)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
    return answer
