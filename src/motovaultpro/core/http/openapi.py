"""Says in the OpenAPI document what every operation may answer besides success: problems, and 304 for reads."""

from typing import Any

from fastapi import FastAPI

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
_NOT_MODIFIED = {"description": "What `If-None-Match` names is still right."}


def install_openapi(app: FastAPI) -> None:
    build = app.openapi

    def openapi() -> dict[str, Any]:  # Any: the document is JSON
        if app.openapi_schema is None:
            document = build()
            for path in document["paths"].values():
                for method, operation in path.items():
                    _document(method, operation["responses"])
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
