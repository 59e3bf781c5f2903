"""Who is it? Log-in with a password, sessions of the web, and the identity behind a shell command.

Every outcome is an entry: ``agent.logged-in`` or ``agent.login-failed``, committed before the caller hears of it. The person
hears one and the same sentence whatever was wrong, so that nobody learns from outside which log-ins exist.

Source: RULES R8, R9; docs/invariants.md 7, 10; NIST SP 800-63B sections 5.2.2, 7.1 and 7.2 (rate limiting, sessions).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NoReturn

from catalogue import Catalogue, UnitOfWork
from catalogue.records import AgentRow, CredentialRow, WebSessionRow
from evidence.clock import Clock, TimeReading, to_text
from evidence.errors import AuthenticationError, InvalidInputError, LimitExceededError
from evidence.events import AccessAllowed, LoggedIn, LoginFailed
from evidence.ids import AgentId
from evidence.model import Actor
from evidence.ports import CustodyRecorder
from people import credentials

_LOGIN_CHARS_MAX: Final = 128
_PASSWORD_CHARS_MAX: Final = 1024
_TOUCH_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How long a session lives and how many passwords are checked at once (each takes tens of MiB of memory)."""

    idle_s: int = 30 * 60
    absolute_s: int = 12 * 3600
    checks_at_once: int = 2
    check_wait_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    """A fresh session. ``token`` is told once and only its digest is kept."""

    token: str
    session: WebSessionRow
    actor: Actor
    must_change: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionActor:
    """Who is behind a session's token, and the value its forms must carry against forged requests."""

    actor: Actor
    csrf: str
    must_change: bool
    expires_at: datetime


class Identity:
    """Identifies people; what they may do is the gate's business.

    Args:
        catalogue: Agents, credentials, sessions.
        recorder: Signs the entries.
        clock: Injected time.
        settings: Life of a session.
    """

    def __init__(
        self, catalogue: Catalogue, *, recorder: CustodyRecorder, clock: Clock, settings: SessionSettings | None = None
    ) -> None:
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock
        self._settings = settings or SessionSettings()
        self._checks = threading.BoundedSemaphore(self._settings.checks_at_once)

    # --- log-in -------------------------------------------------------------------------------------------------------
    def log_in(self, login: str, *, password: str, address: str = "", via: str = "web") -> LogIn:
        """Check a password and open a session; entry and session are one transaction.

        Raises:
            AuthenticationError: Unknown, wrong, locked or inactive: one message for all; the failure is in the log.
            LimitExceededError: Too many passwords are being checked right now.
        """
        agent, credential = self._prove(login, password=password, address=address, via=via)
        now = self._clock.now()
        token = secrets.token_urlsafe(32)
        session = WebSessionRow(
            token_sha256=_token_digest(token),
            agent=agent.id,
            csrf=secrets.token_urlsafe(24),
            created_at=now.wall,
            seen_at=now.wall,
            expires_at=self._expiry(created_at=now.wall, now=now.wall),
            address=address,
        )
        with self._catalogue.begin() as uow:
            # Who replaced the password meanwhile has ended every session: one begun with the old one must not outlive that.
            current = uow.people.credential(credential.login)
            same = current is not None and current.password_hash == credential.password_hash
            if same:
                uow.sessions.sweep(now.wall)
                uow.sessions.add(session)
                self._enter_log_in(uow, agent.id, via=via, address=address, now=now)
        if not same:
            self._fail("credential-changed", login=credential.login, address=address, via=via)
        actor = Actor(agent.id, agent.name, via, address)
        return LogIn(token=token, session=session, actor=actor, must_change=credential.must_change)

    def session_actor(self, token: str, *, address: str = "", keep_awake: bool = True) -> SessionActor:
        """Tell who holds a token and keep the session awake.

        Args:
            token: From the cookie.
            address: Where the request comes from.
            keep_awake: False for what a page asks by itself: an abandoned browser must not stay logged in.

        Raises:
            AuthenticationError: Unknown, idle too long, older than the absolute limit, or the agent is no longer active.
        """
        now = self._clock.now().wall
        digest = _token_digest(token)
        with self._catalogue.read() as uow:
            session = uow.sessions.get(digest)
            agent = uow.people.agent(session.agent) if session is not None else None
            credential = uow.people.credential(agent.login) if agent is not None and agent.login else None
        if session is None or agent is None or not agent.active or self._over(session, now):
            raise AuthenticationError("the session has ended", todo="Log in again.")
        expires_at = session.expires_at
        if keep_awake and now - session.seen_at >= _TOUCH_EVERY:  # not a write per request
            expires_at = self._expiry(created_at=session.created_at, now=now)
            with self._catalogue.begin() as uow:
                uow.sessions.touch(digest, now, expires_at)
        return SessionActor(
            actor=Actor(agent.id, agent.name, "web", address or session.address),
            csrf=session.csrf,
            must_change=credential is not None and credential.must_change,
            expires_at=expires_at,
        )

    def log_out(self, token: str) -> None:
        """End a session; an unknown token is already out."""
        with self._catalogue.begin() as uow:
            uow.sessions.remove(_token_digest(token))

    def change_password(self, actor: Actor, *, old: str, new: str) -> None:
        """Replace the actor's own password; every session of theirs ends, so a stolen one ends too.

        Raises:
            AuthenticationError: The old password is wrong (entered, and counted towards the lock-out).
            InvalidInputError: The new password is too weak or the old one again.
        """
        with self._catalogue.read() as uow:
            login = uow.people.agent(actor.agent).login
        self._prove(login, password=old, address=actor.address, via=actor.via)
        if new == old:
            raise InvalidInputError("the new password is the old one", todo="Choose another.")
        credentials.require_strong(new, login=login)
        with self._one_check():
            password_hash = credentials.hash_password(new)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            uow.people.update_credential(actor.agent, password_hash=password_hash, must_change=False)
            uow.sessions.remove_of(actor.agent)
            event = AccessAllowed(
                actor=actor.agent, action="password.change", via=actor.via, at=to_text(now.wall),
                address=actor.address or None,
            )  # fmt: skip
            self._recorder.record(uow.outbox, event, at=now)

    # --- command line -------------------------------------------------------------------------------------------------
    def cli_actor(self, uid: int, *, login: str = "", password: str = "", terminal: str = "") -> Actor:
        """The personal identity behind a command: a log-in where one is given, else the agent bound to the OS account.

        A shell on the server is no approval (promise 10): an account nobody is bound to is nobody.

        Raises:
            AuthenticationError: Not bound, inactive, wrong password, or a one-time password that must be changed first.
        """
        if login:
            agent, credential = self._prove(login, password=password, address=terminal, via="cli")
            if credential.must_change:
                raise AuthenticationError(
                    "the one-time password must be changed first", todo="Log in on the web page once, or change it."
                )
            now = self._clock.now()
            with self._catalogue.begin() as uow:
                self._enter_log_in(uow, agent.id, via="cli", address=terminal, now=now)
            return Actor(agent.id, agent.name, "cli", terminal)
        with self._catalogue.read() as uow:
            bound = uow.people.os_user(uid)
            known = uow.people.agent(bound) if bound is not None else None
        if known is None or not known.active:
            self._fail(
                "os-user-inactive" if known else "os-user-unbound", login=f"uid {uid}", address=terminal, via="cli"
            )
        return Actor(known.id, known.name, "cli", terminal)

    # --- inside -------------------------------------------------------------------------------------------------------
    def _prove(self, login: str, *, password: str, address: str, via: str) -> tuple[AgentRow, CredentialRow]:
        """Check the password outside any transaction, then count the outcome inside one that looks at everything again."""
        login = login.strip()
        sane = 0 < len(login) <= _LOGIN_CHARS_MAX and login.isprintable() and len(password) <= _PASSWORD_CHARS_MAX
        with self._catalogue.read() as uow:
            credential = uow.people.credential(login) if sane else None
        with self._one_check():  # an unknown log-in costs the same work as a known one
            right = credentials.verify(
                credential.password_hash if credential else credentials.NOBODY_HASH, password if sane else ""
            )
            renew = right and credential is not None and credentials.needs_rehash(credential.password_hash)
            fresh = credentials.hash_password(password) if renew else ""
        if credential is None:
            self._fail("unknown-login", login=login, address=address, via=via)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            current = uow.people.credential(login)
            agent = uow.people.agent(credential.agent)
            reason = _refusal(credential, current, agent, right=right, now=now.wall)
            if reason == "wrong-password" and current is not None:
                failed, locked_until = credentials.after_failure(current.failed_count, now.wall)
                uow.people.update_credential(agent.id, failed_count=failed, locked_until=locked_until)
            elif not reason:
                kept = fresh or credential.password_hash
                uow.people.update_credential(agent.id, failed_count=0, locked_until=None, password_hash=kept)
            if reason:
                self._enter_failure(uow, reason, login=login, address=address, via=via, now=now, actor=agent.id)
        if reason:
            raise _unproved()
        return agent, replace(credential, password_hash=fresh or credential.password_hash)

    @contextmanager
    def _one_check(self) -> Iterator[None]:
        if not self._checks.acquire(timeout=self._settings.check_wait_s):
            raise LimitExceededError("too many passwords are being checked at once", todo="Try again in a moment.")
        try:
            yield
        finally:
            self._checks.release()

    def _fail(self, reason: str, *, login: str, address: str, via: str) -> NoReturn:
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            self._enter_failure(uow, reason, login=login, address=address, via=via, now=now, actor="")
        raise _unproved()

    def _enter_failure(
        self, uow: UnitOfWork, reason: str, *, login: str, address: str, via: str, now: TimeReading, actor: str
    ) -> None:
        event = LoginFailed(
            actor=actor, via=via, reason=reason, at=to_text(now.wall), login=login[:_LOGIN_CHARS_MAX] or None,
            address=address or None,
        )  # fmt: skip
        self._recorder.record(uow.outbox, event, at=now)

    def _enter_log_in(self, uow: UnitOfWork, agent: AgentId, *, via: str, address: str, now: TimeReading) -> None:
        self._recorder.record(
            uow.outbox, LoggedIn(actor=agent, via=via, at=to_text(now.wall), address=address or None), at=now
        )

    def _expiry(self, *, created_at: datetime, now: datetime) -> datetime:
        return min(
            now + timedelta(seconds=self._settings.idle_s),
            created_at + timedelta(seconds=self._settings.absolute_s),
        )

    def _over(self, session: WebSessionRow, now: datetime) -> bool:
        # A clock set back must not prolong a session: a session seen "in the future" is over.
        ahead = session.seen_at - now > _TOUCH_EVERY
        return ahead or now >= session.expires_at


def _refusal(
    checked: CredentialRow, current: CredentialRow | None, agent: AgentRow, *, right: bool, now: datetime
) -> str:
    """Why this log-in fails, or nothing. The lock is looked at in the same transaction that counts (parallel guesses)."""
    if current is None or current.password_hash != checked.password_hash:
        return "credential-changed"
    if credentials.is_locked(current.locked_until, now):
        return "locked"
    if not right:
        return "wrong-password"
    return "" if agent.active else "inactive"


def _unproved() -> AuthenticationError:
    return AuthenticationError(
        "log-in or password is wrong, or the account is locked",
        todo="Check both; after repeated failures an account is locked for a while.",
    )


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
