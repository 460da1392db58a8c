"""What the OpenAPI document says of every operation: how to sign in, problems, and 304 for reads.

Written into the document here, and not as dependencies of the routes: those would run with each request.
"""

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI

from motovaultpro.core.security.credentials import API_KEY_HEADER, SESSION_COOKIE

_PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457, with a stable `code`, the fields that are wrong, and the id to name in a report.",
    "type": "object",
    "required": [
        "type",
        "title",
        "status",
        "detail",
        "code",
        "instance",
        "correlation_id",
        "fields",
    ],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string"},
        "correlation_id": {"type": ["string", "null"]},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_ANSWER = {
    "description": "A problem; see `code` and `fields`.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_SIGN_IN = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "basic": {"type": "http", "scheme": "basic"},
    "api_key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER},
    "cookie": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
}
_NOT_MODIFIED = {"description": "What `If-None-Match` names is still right."}


def install_openapi(app: FastAPI, *, public: Collection[str]) -> None:
    """`public` are the paths that want nobody to be signed in."""
    build = app.openapi

    def openapi() -> dict[str, Any]:  # Any: the document is JSON
        if app.openapi_schema is None:
            document = build()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _document(method, operation["responses"])
                    operation["security"] = (
                        [] if path in public else [{name: []} for name in _SIGN_IN]
                    )
            document["components"]["securitySchemes"] = _SIGN_IN
            schemas = document["components"]["schemas"]
            schemas["Problem"] = _PROBLEM
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _document(method: str, responses: dict[str, Any]) -> None:
    responses.pop("422", None)  # FastAPI's own shape, which we do not answer
    responses["4XX"] = _ANSWER
    responses.setdefault("503", _ANSWER)
    if method == "get":
        responses.setdefault("304", _NOT_MODIFIED)
