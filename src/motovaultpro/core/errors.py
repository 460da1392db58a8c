"""Errors as business facts: a status, a stable code, and the fields they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field. `field` is a dotted path (`energy_sources.0.kind`)."""

    field: str
    message: str


class AppError(Exception):
    """An expected failure, answered as RFC 9457 problem+json with `status` and a stable `code`.

    Subclasses set the class attributes; `detail` is one sentence for a person that names the fix.
    """

    status: int = 400
    code: str = "bad_request"

    def __init__(
        self,
        detail: str,
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = tuple(fields)
        self.headers = dict(headers or {})


class NotFoundError(AppError):
    """Absent, or of another tenant: the answer never tells which."""

    status = 404
    code = "not_found"


class InvalidError(AppError):
    """Well-formed, but against a rule; `fields` says which."""

    status = 422
    code = "invalid"


class ConflictError(AppError):
    status = 409
    code = "conflict"


class PreconditionFailedError(AppError):
    """`If-Match` named another version than the stored one."""

    status = 412
    code = "precondition_failed"


class UnauthorizedError(AppError):
    """No valid credentials. Carries `WWW-Authenticate`, as RFC 9110 asks."""

    status = 401
    code = "unauthorized"

    def __init__(self, detail: str = "Sign in first.") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer, Basic realm="MotoVaultPro"'})


class ForbiddenError(AppError):
    status = 403
    code = "forbidden"


class TooLargeError(AppError):
    status = 413
    code = "too_large"


class TooManyRequestsError(AppError):
    """The caller must wait `retry_after` seconds."""

    status = 429
    code = "too_many_requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class UnavailableError(AppError):
    """A part we depend on is away; trying again in `retry_after` seconds is right."""

    status = 503
    code = "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
