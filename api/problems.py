"""Our errors as HTTP answers (RFC 9457). The only place that knows both; internals never leak.

An error's family decides the status, its ``code`` stays stable for programs, its sentence is written for a person.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from api.refusals import MethodNotAllowedError, RequestTooLargeError
from evidence import errors
from evidence.errors import EvidenceError
from matters.values import FormError

#: The first family that fits decides; the order goes from special to general.
_STATUS: Final[tuple[tuple[type[EvidenceError], HTTPStatus], ...]] = (
    (RequestTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (MethodNotAllowedError, HTTPStatus.METHOD_NOT_ALLOWED),
    (errors.AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (errors.AccessDeniedError, HTTPStatus.FORBIDDEN),
    (errors.NotFoundError, HTTPStatus.NOT_FOUND),
    (errors.BlobNotFoundError, HTTPStatus.NOT_FOUND),
    (errors.InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.UsageError, HTTPStatus.BAD_REQUEST),
    (errors.LimitExceededError, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.PolicyUnmetError, HTTPStatus.CONFLICT),
    (errors.StateConflictError, HTTPStatus.CONFLICT),
    (errors.DeviceBusyError, HTTPStatus.CONFLICT),
    (errors.DeviceNotRegisteredError, HTTPStatus.CONFLICT),
    (errors.DeviceError, HTTPStatus.BAD_GATEWAY),
    (errors.StoreFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (errors.StoreUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.JobError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.MediaError, HTTPStatus.UNPROCESSABLE_ENTITY),
)


def status_of(error: EvidenceError) -> HTTPStatus:
    """The HTTP status of one of our errors; 500 for what a client can do nothing about."""
    for family, status in _STATUS:
        if isinstance(error, family):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(error: EvidenceError) -> dict[str, object]:
    """The ``application/problem+json`` body of one of our errors."""
    status = status_of(error)
    body: dict[str, object] = {
        "type": f"urn:liuhen:problem:{error.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.what,
        "code": error.code,
        "retry": error.retry.value,
    }
    if error.kept:
        body["kept"] = error.kept
    if error.todo:
        body["todo"] = error.todo
    reason = getattr(error, "reason", "")
    if reason:
        body["reason"] = reason
    if isinstance(error, FormError):
        body["fields"] = error.fields
    return body
