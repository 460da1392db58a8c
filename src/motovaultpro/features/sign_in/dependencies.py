from typing import Annotated

import orjson
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from typing_extensions import override

from motovaultpro.core.dependencies import Authenticator
from motovaultpro.core.errors import UnauthorizedError
from motovaultpro.core.http.bodies import MalformedJsonError
from motovaultpro.core.http.client import client_address
from motovaultpro.core.resources import Resources
from motovaultpro.core.security.actor import Actor
from motovaultpro.core.security.credentials import (
    ApiKey,
    BasicLogin,
    BearerToken,
    SessionCookie,
    extract,
)
from motovaultpro.core.security.passwords import Passwords
from motovaultpro.core.security.ratelimit import RateLimiter
from motovaultpro.core.security.same_origin import check_same_origin
from motovaultpro.features.sessions.contracts import Client
from motovaultpro.features.sign_in.schemas import LoginRequest
from motovaultpro.features.sign_in.service import SignIn

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_MAX_FORM_FIELDS = 20


class DatabaseAuthenticator(Authenticator):
    """Reads a request's credentials and asks `SignIn` whose they are. One instance serves the process."""

    def __init__(self, resources: Resources, limiter: RateLimiter, passwords: Passwords) -> None:
        self.sign_in = SignIn(resources, limiter, passwords)
        self._public_url = resources.settings.server.public_url

    @override
    async def authenticate(self, request: Request) -> Actor:
        match extract(request.headers, request.cookies, request.query_params):
            case SessionCookie(token):
                actor = await self.sign_in.by_cookie(token)
                check_same_origin(request.method, request.headers, self._public_url)
                return actor
            case BearerToken(token):
                return await self.sign_in.by_access_token(token)
            case ApiKey(key):
                return await self.sign_in.by_api_key(key)
            case BasicLogin(user_name, password):
                # A browser that was given a Basic login sends it along unasked, and no SameSite holds it back.
                check_same_origin(request.method, request.headers, self._public_url)
                address = client_address(request)
                return await self.sign_in.by_login(user_name, password, address)
            case None:
                raise UnauthorizedError


async def _sign_in(request: Request) -> SignIn:
    authenticator: DatabaseAuthenticator = request.app.state.authenticator
    return authenticator.sign_in


async def _client(request: Request) -> Client:
    return Client(client_address(request), request.headers.get("user-agent", ""))


async def _login(request: Request) -> LoginRequest:
    """The body of a sign-in, as JSON or as either kind of form."""
    fields: object
    if request.headers.get("content-type", "").lower().startswith(_FORMS):
        async with request.form(max_files=0, max_fields=_MAX_FORM_FIELDS) as form:
            fields = dict(form)
    else:
        try:
            fields = orjson.loads(await request.body())
        except ValueError:
            raise MalformedJsonError("The body is neither JSON nor a form.") from None
    try:
        return LoginRequest.model_validate(fields)
    except ValidationError as error:
        errors = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(errors, body=fields) from None


CurrentSignIn = Annotated[SignIn, Depends(_sign_in)]
CurrentClient = Annotated[Client, Depends(_client)]
LoginBody = Annotated[LoginRequest, Depends(_login)]
