"""Requests that reach no route: a body that is too large, a method nobody answers to."""

from __future__ import annotations

from evidence.errors import LimitExceededError, UsageError


class RequestTooLargeError(LimitExceededError):
    """More bytes were sent than any request of ours needs."""


class MethodNotAllowedError(UsageError):
    """There is something at this address, but it does not answer to that method."""
