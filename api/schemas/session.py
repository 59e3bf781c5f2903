"""Log-in and who am I."""

from __future__ import annotations

from api.schemas.common import Answer, Moment, Request, Short


class LogInRequest(Request):
    """Log-in with a password."""

    login: Short
    password: str


class PasswordRequest(Request):
    """Change of one's own password."""

    old: str
    new: str


class SessionAnswer(Answer):
    """Who is logged in; ``csrf`` goes into the header ``X-Liuhen-Csrf`` of every unsafe request."""

    agent: str
    name: str
    csrf: str
    must_change: bool
    expires_at: Moment
    actions: list[str]
