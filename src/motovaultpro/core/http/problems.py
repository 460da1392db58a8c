"""Errors as RFC 9457 `application/problem+json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from motovaultpro.core.errors import AppError, FieldError
from motovaultpro.core.observability.context import current_context

_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}
_CODES |= {
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
}
_CODES |= {422: "invalid", 429: "too_many_requests", 500: "internal_error", 503: "unavailable"}
_BAD_REQUEST, _UNAUTHORIZED, _METHOD_NOT_ALLOWED = 400, 401, 405
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_MAX_FIELDS = 100
"""A body of nothing but mistakes must not become an answer many times its size."""


@dataclass(frozen=True)
class Problem:
    status: int
    code: str
    detail: str
    fields: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_response(path: str, problem: Problem) -> Response:
    context = current_context()
    content = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "instance": quote(path, errors="replace"),
        "correlation_id": context.correlation_id if context else None,
        "fields": problem.fields,
    }
    return Response(
        orjson.dumps(content),
        problem.status,
        {"Cache-Control": "no-store", **problem.headers},
        media_type="application/problem+json",
    )


def install_error_handlers(app: FastAPI) -> None:
    """Answer every expected error of the routes as a problem. Unexpected ones are `RequestMiddleware`'s."""

    # Why: coroutines; Starlette would run a plain function in a thread.
    async def app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)  # noqa: S101 - narrows what Starlette types as Exception
        answer = problem_response(request.scope["path"], of_app_error(error))
        # A browser would open its own box for the name and password, over our page; scripts and apps wait for the challenge.
        if error.status == _UNAUTHORIZED and "sec-fetch-mode" in request.headers:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return problem_response(request.scope["path"], of_validation_error(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        return problem_response(request.scope["path"], of_http_exception(request, error))

    app.add_exception_handler(AppError, app_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)


def of_app_error(error: AppError) -> Problem:
    return Problem(error.status, error.code, error.detail, error.fields, error.headers)


def of_http_exception(request: Request, error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == _METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    code = _CODES.get(error.status_code, "bad_request")
    return Problem(error.status_code, code, str(error.detail), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """All methods of the path. The exception names only those of the first route that has the path."""
    scope = request.scope
    blank = {key: scope[key] for key in ("type", "path", "root_path", "headers") if key in scope}
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**blank, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def of_validation_error(error: RequestValidationError) -> Problem:
    """422 with one field per mistake, by the names the client sent; 400 for what is no JSON at all.

    Never echoes input: the mistake may be in a password.
    """
    errors = error.errors()
    for item in errors:
        if item["type"] == "json_invalid":
            return _malformed_json(item, error.body)
    fields = [
        FieldError(_field_name(item, error.body), item["msg"].removeprefix("Value error, "))
        for item in errors[:_MAX_FIELDS]
    ]
    return Problem(422, "invalid", "The request is not valid; see fields.", fields)


def _malformed_json(item: Mapping[str, Any], document: Any) -> Problem:
    position = item["loc"][1]
    before = document[:position] if isinstance(document, str) else ""
    line, column = before.count("\n") + 1, position - before.rfind("\n")
    reason = item["ctx"]["error"]
    return Problem(
        _BAD_REQUEST,
        "malformed_json",
        f"The body is not valid JSON: {reason} (line {line}, column {column}).",
    )


def _field_name(item: Mapping[str, Any], body: Any) -> str:
    """The dotted path of a mistake (`energy_sources.0.kind`).

    pydantic's location also names steps the client never wrote (the member of a union, a validator): a step counts only
    where the body has it, or where it is the one that is missing.
    """
    source, *steps = item["loc"]
    if source != "body" or not isinstance(body, Mapping | list):
        return ".".join(map(str, steps)) or str(source)
    names: list[str] = []
    for position, step in enumerate(steps):
        if (isinstance(body, Mapping) and step in body) or (
            isinstance(body, list) and isinstance(step, int) and step < len(body)
        ):
            body = body[step]
        elif not (item["type"] == "missing" and position == len(steps) - 1):
            continue
        names.append(str(step))
    return ".".join(names) or "body"
