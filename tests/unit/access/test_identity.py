"""Log-in, sessions, lock-out: what a person, a thief and a clock can do."""

from __future__ import annotations

import secrets
import threading

import argon2
import pytest

from access import DeniedError, Identity, SessionSettings
from evidence.errors import AuthenticationError, InvalidInputError, LimitExceededError
from evidence.model import Action
from people import credentials
from support.assured_home import AssuredHome

NEW = "Bright-Lantern-42"


def start(home: AssuredHome):
    return home.identity.log_in("admin", password=home.first.one_time_password, address="10.0.0.7")


def settle(home: AssuredHome) -> None:
    """The first administrator has chosen a password."""
    home.identity.change_password(start(home).actor, old=home.first.one_time_password, new=NEW)


def test_a_log_in_gives_a_token_of_which_only_the_digest_is_kept(home: AssuredHome) -> None:
    logged_in = start(home)
    assert home.identity.session_actor(logged_in.token).actor.agent == home.first.agent.id
    database = (home.root / "app.db").read_bytes() + (home.root / "app.db-wal").read_bytes()
    assert logged_in.token.encode() not in database
    assert home.first.one_time_password.encode() not in database
    assert [entry["via"] for entry in home.entries("agent.logged-in")] == ["web"]


def test_a_one_time_password_opens_nothing_but_its_own_change(home: AssuredHome) -> None:
    logged_in = start(home)
    assert logged_in.must_change
    with pytest.raises(DeniedError) as refused:
        home.gate.require(logged_in.actor, Action.PEOPLE_LIST)
    assert refused.value.reason == "password-change-required"
    home.identity.change_password(logged_in.actor, old=home.first.one_time_password, new=NEW)
    again = home.identity.log_in("admin", password=NEW)
    assert not again.must_change
    home.gate.require(again.actor, Action.PEOPLE_LIST)


def test_changing_a_password_ends_every_session_of_that_person(home: AssuredHome) -> None:
    stolen = start(home)
    settle(home)
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(stolen.token)


@pytest.mark.parametrize("new", ["short", "admin-Password-1", "aaaaaaaaaaaaaaaaaaaa"])
def test_a_weak_password_is_refused_and_the_old_one_stands(home: AssuredHome, new: str) -> None:
    logged_in = start(home)
    with pytest.raises(InvalidInputError):
        home.identity.change_password(logged_in.actor, old=home.first.one_time_password, new=new)
    start(home)


def test_the_old_password_is_no_new_one(home: AssuredHome) -> None:
    logged_in = start(home)
    old = home.first.one_time_password
    with pytest.raises(InvalidInputError):
        home.identity.change_password(logged_in.actor, old=old, new=old)


def test_all_failures_sound_alike_and_each_is_entered_with_its_reason(home: AssuredHome) -> None:
    messages = set()
    for login, password in (("admin", "wrong"), ("nobody", "wrong"), ("", ""), ("admin", "x" * 5000), ("a" * 999, "b")):
        with pytest.raises(AuthenticationError) as refused:
            home.identity.log_in(login, password=password)
        messages.add(str(refused.value))
    assert len(messages) == 1
    reasons = [entry["reason"] for entry in home.entries("agent.login-failed")]
    assert reasons == ["wrong-password", "unknown-login", "unknown-login", "unknown-login", "unknown-login"]


def test_five_failures_lock_and_the_right_password_waits_for_the_lock_to_end(home: AssuredHome) -> None:
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            home.identity.log_in("admin", password="wrong")
    with pytest.raises(AuthenticationError):
        start(home)
    assert home.entries("agent.login-failed")[-1]["reason"] == "locked"
    home.clock.unix_ms += 15 * 60 * 1000
    start(home)


def test_a_password_reset_lifts_a_lock_and_ends_sessions(home: AssuredHome) -> None:
    made = home.administration.create_agent(home.administrator, name="审计员", login="auditor")
    session = home.identity.log_in("auditor", password=made.one_time_password)
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            home.identity.log_in("auditor", password="wrong")
    fresh = home.administration.reset_password(home.administrator, agent=made.agent.id)
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(session.token)
    assert home.identity.log_in("auditor", password=fresh).must_change


def test_an_idle_session_ends_a_used_one_lives_until_the_absolute_limit(home: AssuredHome) -> None:
    session = start(home)
    home.clock.unix_ms += 31 * 60 * 1000
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(session.token)
    used = start(home)
    for _ in range(34):
        home.clock.unix_ms += 20 * 60 * 1000
        home.identity.session_actor(used.token)
    home.clock.unix_ms += 45 * 60 * 1000
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(used.token)


def test_a_session_seen_in_the_future_is_over(home: AssuredHome) -> None:
    session = start(home)
    home.clock.unix_ms -= 10 * 60 * 1000
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(session.token)


def test_logging_out_ends_the_session_and_may_be_repeated(home: AssuredHome) -> None:
    session = start(home)
    home.identity.log_out(session.token)
    home.identity.log_out(session.token)
    for token in (session.token, "", "\udc80", "x" * 100_000):
        with pytest.raises(AuthenticationError):
            home.identity.session_actor(token)


def test_a_session_of_someone_who_left_is_over(home: AssuredHome) -> None:
    made = home.administration.create_agent(home.administrator, name="离任", login="leaver")
    session = home.identity.log_in("leaver", password=made.one_time_password)
    home.administration.deactivate(home.administrator, agent=made.agent.id)
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(session.token)
    with pytest.raises(AuthenticationError):
        home.identity.log_in("leaver", password=made.one_time_password)


def test_a_bound_account_of_the_system_is_a_person_and_any_other_is_nobody(home: AssuredHome) -> None:
    assert home.identity.cli_actor(1000, terminal="tty1").agent == home.first.agent.id
    with pytest.raises(AuthenticationError):
        home.identity.cli_actor(0)
    assert home.entries("agent.login-failed")[-1]["reason"] == "os-user-unbound"


def test_a_command_with_a_log_in_needs_a_password_that_was_changed(home: AssuredHome) -> None:
    with pytest.raises(AuthenticationError):
        home.identity.cli_actor(0, login="admin", password=home.first.one_time_password)
    settle(home)
    actor = home.identity.cli_actor(0, login="admin", password=NEW)
    assert (actor.agent, actor.via) == (home.first.agent.id, "cli")


def test_parallel_guesses_are_counted_one_by_one(home: AssuredHome) -> None:
    outcomes: list[str] = []

    def guess() -> None:
        try:
            home.identity.log_in("admin", password="wrong")
        except AuthenticationError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=guess) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["authentication"] * 7
    reasons = [entry["reason"] for entry in home.entries("agent.login-failed")]
    assert sorted(reasons) == ["locked"] * 2 + ["wrong-password"] * 5


def test_only_so_many_passwords_are_checked_at_once(home: AssuredHome) -> None:
    identity = Identity(
        home.catalogue, recorder=home.recorder, clock=home.clock,
        settings=SessionSettings(checks_at_once=1, check_wait_s=0.01),
    )  # fmt: skip
    with identity._one_check(), pytest.raises(LimitExceededError):
        identity.log_in("admin", password="wrong")


def test_a_page_that_refreshes_itself_does_not_keep_an_abandoned_session_awake(home: AssuredHome) -> None:
    session = start(home)
    for _ in range(3):
        home.clock.unix_ms += 9 * 60 * 1000
        home.identity.session_actor(session.token, keep_awake=False)
    home.clock.unix_ms += 9 * 60 * 1000
    with pytest.raises(AuthenticationError):
        home.identity.session_actor(session.token)


def test_a_password_replaced_while_a_log_in_is_under_way_opens_no_session(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replaces a password ends every session; one that begins a moment later with the old one must not outlive that."""
    made = home.administration.create_agent(home.administrator, name="审计员", login="auditor")
    real = secrets.token_urlsafe

    def meanwhile(size: int) -> str:
        monkeypatch.setattr("access.identity.secrets.token_urlsafe", real)
        home.administration.reset_password(home.administrator, agent=made.agent.id)
        return real(size)

    monkeypatch.setattr("access.identity.secrets.token_urlsafe", meanwhile)
    with pytest.raises(AuthenticationError):
        home.identity.log_in("auditor", password=made.one_time_password)
    assert [entry["reason"] for entry in home.entries("agent.login-failed")] == ["credential-changed"]
    assert home.entries("agent.logged-in") == []


def test_a_hash_of_older_parameters_is_made_anew_at_the_next_log_in(home: AssuredHome) -> None:
    settle(home)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(NEW)
    with home.catalogue.begin() as uow:
        uow.people.update_credential(home.first.agent.id, password_hash=weak)
    session = home.identity.log_in("admin", password=NEW)
    with home.catalogue.read() as uow:
        kept = uow.people.credential("admin").password_hash
    assert not credentials.needs_rehash(kept)
    assert home.identity.session_actor(session.token).actor == session.actor
    home.identity.log_in("admin", password=NEW)


def test_a_log_in_name_that_cannot_be_one_is_a_failure_like_any_other(home: AssuredHome) -> None:
    for login in ("ad\0min", "ad\nmin", "x" * 5_000, ""):
        with pytest.raises(AuthenticationError):
            home.identity.log_in(login, password="guess")
    assert [entry["reason"] for entry in home.entries("agent.login-failed")] == ["unknown-login"] * 4
