"""What stands at the door: headers, forged requests, cookies, redirects, host names, guessed passwords, leaks."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi.responses import Response

from access import Identity, SessionActor
from api.dependencies import COOKIE
from api.routes import devices as dock_routes
from api.security.bodies import BODY_BYTES_MAX, BodyLimit
from api.security.csrf import HEADER
from api.services import ApiSettings
from app.logging import configure
from evidence.model import Actor
from support.web_home import BASE, Visitor, WebHome, web_home

A = "/api/v1"
PASSWORD = "a long evidence password"


@pytest.fixture
def person(web: WebHome) -> tuple[str, str]:
    """A person with a log-in of their own, and their one-time password."""
    count = len(web.house.directory.names())
    made = web.house.administration.create_agent(web.administrator, name=f"用户{count}", login=f"user{count}")
    web.house.administration.grant_role(web.administrator, agent=made.agent.id, role="auditor")
    return f"user{count}", made.one_time_password


@pytest.fixture
def door(tmp_path: Path) -> Iterator[WebHome]:
    """A home of its own, for tests that use up attempts."""
    with web_home(tmp_path / "home", settings=ApiSettings(login_attempts_per_minute=6, secure_cookies=True)) as made:
        yield made


def log_in(visitor: Visitor, login: str, password: str, **headers: str):
    return visitor.post("/login", data={"login": login, "password": password}, headers=headers)


# --- headers ----------------------------------------------------------------------------------------------------------
def test_every_answer_forbids_inline_code_framing_sniffing_and_caches(web: WebHome, officer: Actor) -> None:
    nobody, somebody = web.visitor(), web.visitor(officer)
    talk = web.recordings["talk"].id
    answers = [
        nobody.get("/login"), nobody.get(f"{A}/recordings"), nobody.get("/nothing"), nobody.get(f"{A}/nothing"),
        somebody.get("/my"), somebody.get(f"{A}/recordings/{talk}/media"), somebody.get(f"{A}/recordings/nonsense"),
        somebody.get(f"{A}/recordings/{talk}/pictures/poster"), somebody.get("/people"), somebody.post("/login"),
    ]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        # Not "no-referrer": browsers would send "Origin: null" with our own forms, which we refuse.
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    assert nobody.get("/static/liuhen.css").headers["cache-control"] == "public, max-age=3600"
    assert "default-src 'self'" in nobody.get("/static/liuhen.css").headers["content-security-policy"]


def test_no_page_carries_inline_code_or_anything_from_outside(web: WebHome, officer: Actor) -> None:
    visitor = web.visitor(officer)
    for path in ("/login", "/my", "/recordings", f"/recordings/{web.recordings['talk'].id}", "/wall"):
        text = visitor.get(path).text.lower()
        assert "<script>" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert "http://" not in text.replace(BASE, "")
        assert "https://" not in text


# --- forged requests --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"}, {"origin": "null"}, {"origin": "http://127.0.0.1:81"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "nonsense"},
        {"origin": BASE, "sec-fetch-site": "cross-site"},
    ],
)  # fmt: skip
def test_a_foreign_page_can_make_nobody_act_even_with_session_and_token(
    web: WebHome, officer: Actor, headers: dict[str, str]
) -> None:
    visitor = web.visitor(officer)
    before = len(web.entries("fixity.checked"))
    talk = web.recordings["talk"].id
    for path in (f"{A}/recordings/{talk}/verify", f"/recordings/{talk}/verify"):
        assert visitor.post(path, headers=headers).status_code == 403
    assert visitor.post("/logout", data={"csrf": visitor.csrf}, headers=headers).status_code == 403
    assert visitor.post("/login", data={"login": "a", "password": "b"}, headers=headers).status_code == 403
    assert visitor.post(f"{A}/session", json={"login": "a", "password": "b"}, headers=headers).status_code == 403
    assert visitor.get("/my").status_code == 200  # still logged in
    assert len(web.entries("fixity.checked")) == before


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_an_act_without_the_sessions_own_token_is_refused(web: WebHome, officer: Actor, token: str) -> None:
    visitor = web.visitor(officer)
    talk = web.recordings["talk"].id
    visitor.headers.pop(HEADER)
    sent = {HEADER: token.encode()} if token else {}
    before = len(web.entries("fixity.checked"))
    for path in (f"{A}/recordings/{talk}/verify", f"/recordings/{talk}/verify"):
        refused = visitor.post(path, headers=sent)
        assert refused.status_code == 403
    assert visitor.post("/logout", data={"csrf": token or "x"}).status_code == 403
    assert visitor.post("/logout").status_code == 422
    assert visitor.post(f"{A}/recordings/{talk}/verify", headers=sent).json()["code"] == "forged-request"
    assert len(web.entries("fixity.checked")) == before


def test_another_sessions_token_does_not_serve(web: WebHome, officer: Actor) -> None:
    first, second = web.visitor(officer), web.visitor(officer)
    path = f"{A}/recordings/{web.recordings['talk'].id}/verify"
    assert second.post(path, headers={HEADER: first.csrf}).status_code == 403


# --- cookies and redirects --------------------------------------------------------------------------------------------
def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(web: WebHome, person: tuple[str, str]) -> None:
    answer = log_in(web.visitor(), *person)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/password"
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert not any(flag.startswith(("expires", "max-age", "domain")) for flag in flags)


def test_behind_tls_the_cookie_never_travels_without_it(door: WebHome) -> None:
    made = door.house.administration.create_agent(door.administrator, name="用户", login="user")
    answer = log_in(door.visitor(), "user", made.one_time_password)
    assert "secure" in answer.headers["set-cookie"].lower()


def test_the_tokens_of_two_log_ins_differ_and_only_their_digest_is_kept(web: WebHome, person: tuple[str, str]) -> None:
    tokens = {log_in(web.visitor(), *person).cookies[COOKIE] for _ in range(2)}
    assert len(tokens) == 2
    database = b"".join(path.read_bytes() for path in web.house.home.root.glob("app.db*"))
    assert all(token.encode() not in database for token in tokens)


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "evil.test",
        "javascript:alert(1)",
        "/\tevil",
        "/a\r\nX: y",
        "",
    ],
)
def test_nobody_is_sent_to_a_place_outside(web: WebHome, back: str) -> None:
    visitor = web.visitor()
    assert visitor.get("/language", params={"lang": "en", "back": back}).headers["location"] == "/"
    page = visitor.get("/login", params={"back": back}).text
    assert 'name="back" value="/"' in page


def test_after_log_in_a_person_comes_to_the_page_they_asked_for(web: WebHome, person: tuple[str, str]) -> None:
    login, one_time = person
    visitor = web.visitor()
    log_in(visitor, login, one_time)
    token = visitor.get("/password").text.split('data-csrf="')[1].split('"')[0]
    form = {"csrf": token, "old": one_time, "new": PASSWORD, "again": PASSWORD}
    assert visitor.post("/password", data=form).headers["location"] == "/login?changed=1"
    assert visitor.get("/findings").status_code == 303  # every session ended with the old password
    asked = visitor.get("/findings?x=1").headers["location"]
    assert asked == "/login?back=%2Ffindings%3Fx%3D1"
    answer = visitor.post("/login", data={"login": login, "password": PASSWORD, "back": "/findings?x=1"})
    assert answer.headers["location"] == "/findings?x=1"
    assert visitor.get("/findings").status_code == 200


def test_a_one_time_password_opens_nothing_but_its_own_change(web: WebHome, person: tuple[str, str]) -> None:
    visitor = web.visitor()
    log_in(visitor, *person)
    assert visitor.get("/findings").headers["location"] == "/password"
    refused = visitor.get(f"{A}/findings")
    assert (refused.status_code, refused.json()["reason"]) == (403, "password-change-required")
    assert visitor.get(f"{A}/session").json()["must_change"] is True


def test_somebody_with_a_one_time_password_can_log_out(web: WebHome, person: tuple[str, str]) -> None:
    visitor = web.visitor()
    log_in(visitor, *person)
    token = visitor.get("/password").text.split('data-csrf="')[1].split('"')[0]
    cookie = visitor.cookies[COOKIE]
    assert visitor.post("/logout", data={"csrf": token}).headers["location"] == "/login"
    visitor.cookies.set(COOKIE, cookie, domain="127.0.0.1")
    assert visitor.get(f"{A}/session").status_code == 401


def test_a_form_sent_after_the_session_ended_leads_to_a_page_and_not_to_its_own_address(web: WebHome) -> None:
    talk = web.recordings["talk"].id
    for path in (f"/recordings/{talk}/viewing-copy", "/logout", "/people/role"):
        assert web.visitor().post(path, data={"csrf": "x"}).headers["location"] == "/login?back=%2F"


def test_a_page_that_refreshes_itself_keeps_nobody_logged_in(
    web: WebHome, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = web.visitor(officer)
    asked: list[bool] = []
    real = type(web.house.identity).session_actor

    def noted(self: Identity, token: str, *, address: str = "", keep_awake: bool = True) -> SessionActor:
        asked.append(keep_awake)
        return real(self, token, address=address, keep_awake=keep_awake)

    monkeypatch.setattr(Identity, "session_actor", noted)
    visitor.get("/my")
    visitor.get("/my", headers={"hx-request": "true"})
    visitor.post(f"/recordings/{web.recordings['talk'].id}/verify", headers={"hx-request": "true"})
    assert asked == [True, False, True]


def test_the_walls_events_end_with_the_session(web: WebHome, officer: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging out, or a new password, stops what is being shown, not only what is asked next."""
    monkeypatch.setattr(dock_routes, "_EVERY_S", 0.0)
    visitor, token = web.visitor(officer), ""
    token = visitor.cookies[COOKIE]
    beats = 0

    async def watch() -> None:
        nonlocal beats
        async for _ in dock_routes._events(web.app.state.services, officer, token, "en"):
            beats += 1
            web.house.identity.log_out(token)

    asyncio.run(watch())
    assert beats == 1


# --- sizes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [f"{A}/session", "/login", "/nothing"])
def test_nobody_makes_the_service_hold_a_large_body(web: WebHome, path: str, *, chunked: bool) -> None:
    sent = 0

    def much() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 4_096
            yield b"x" * 4_096

    answer = web.visitor().post(path, content=much() if chunked else b"x" * 70_000)
    assert answer.status_code == 413
    assert "content-security-policy" in answer.headers
    if path.startswith(A):
        assert (answer.json()["status"], answer.json()["code"]) == (413, "limit-exceeded")


def test_a_body_is_read_only_up_to_its_bound(web: WebHome) -> None:
    taken = 0

    async def app(*_: object) -> None:
        raise AssertionError("no route may begin")

    async def receive() -> dict:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 16_384, "more_body": True}

    said: list[dict] = []

    async def send(message: dict) -> None:
        said.append(message)

    guard = BodyLimit(app, refuse=lambda _request: Response(status_code=413))
    asyncio.run(guard({"type": "http", "method": "POST", "path": "/login", "headers": []}, receive, send))
    assert said[0]["status"] == 413
    assert taken == BODY_BYTES_MAX // 16_384 + 1


# --- addresses that answer to something else --------------------------------------------------------------------------
def test_a_method_nobody_answers_to_is_refused_in_the_form_of_its_side(web: WebHome) -> None:
    problem = web.visitor().put(f"{A}/recordings")
    assert (problem.status_code, problem.headers["content-type"]) == (405, "application/problem+json")
    assert problem.headers["allow"] == "GET"
    assert problem.json()["status"] == 405
    page = web.visitor().get("/logout")
    assert (page.status_code, page.headers["allow"]) == (405, "POST")
    assert "</html>" in page.text


def test_a_refusal_does_not_look_like_having_been_logged_out(web: WebHome, officer: Actor) -> None:
    visitor = web.visitor(officer)
    for path, status in (("/people", 403), ("/nothing", 404), ("/recordings/nonsense", 404), ("/logout", 405)):
        answer = visitor.get(path)
        assert answer.status_code == status
        assert officer.name in answer.text
        assert 'href="/my"' in answer.text
    assert officer.name not in web.visitor().get("/nothing").text


@pytest.mark.parametrize("path", ["/nothing", "/recordings/nonsense", "/recordings?from=yesterday"])
def test_a_chinese_error_page_keeps_english_sentences_apart(web: WebHome, officer: Actor, path: str) -> None:
    page = web.visitor(officer).get(path).text
    main = page.split('<main id="main">', 1)[1]
    shown = re.sub(r"<details.*?</details>", "", main, flags=re.DOTALL)
    words = re.sub(r"<[^>]*>", " ", shown)
    assert re.findall(r"[A-Za-z-]{3,}", words) in (["not-found"], ["invalid-input"])  # the code, for who asks
    assert 'lang="en"' in main
    english = web.visitor(officer).get(path, params={"lang": "en"}).text
    assert "<details" not in english


# --- hosts ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "127.0.0.1@evil.test", ""])
def test_a_host_name_that_is_not_ours_is_not_answered(web: WebHome, host: str) -> None:
    answer = web.visitor().get("/login", headers={"host": host})
    assert answer.status_code == 400
    assert "form" not in answer.text


# --- guessed passwords ------------------------------------------------------------------------------------------------
def test_guessing_locks_the_account_says_the_same_always_and_is_entered(web: WebHome, person: tuple[str, str]) -> None:
    login, right = person
    said = set()
    before = len(web.entries("agent.login-failed"))
    for _ in range(6):
        answer = web.visitor().post(f"{A}/session", json={"login": login, "password": "guess"})
        assert answer.status_code == 401
        said.add(answer.json()["detail"])
    locked = web.visitor().post(f"{A}/session", json={"login": login, "password": right})
    unknown = web.visitor().post(f"{A}/session", json={"login": "nobody at all", "password": "guess"})
    assert locked.status_code == 401
    assert said | {locked.json()["detail"]} == {unknown.json()["detail"]}
    reasons = [entry["reason"] for entry in web.entries("agent.login-failed")][before:]
    assert reasons[-2:] == ["locked", "unknown-login"]


def test_one_address_may_not_try_many_accounts(door: WebHome) -> None:
    answers = [door.visitor().post(f"{A}/session", json={"login": f"guess{n}", "password": "guess"}) for n in range(8)]
    assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 2
    assert log_in(door.visitor(), "guess", "guess").status_code == 429
    assert answers[-1].json()["todo"] == "Wait a minute."


@pytest.mark.parametrize("size", [200, 5_000])
def test_absurd_passwords_are_refused_without_work(web: WebHome, officer: Actor, size: int) -> None:
    answer = web.visitor(officer).put(f"{A}/session/password", json={"old": "x" * size, "new": "y" * size})
    assert answer.status_code in (401, 422)


# --- leaks ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def journal() -> Iterator[io.StringIO]:
    """The journal as ``liuhen serve`` writes it, every level of it."""
    root, written = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure(verbose=True)
    root.handlers[0].setStream(written)
    root.setLevel(logging.DEBUG)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_no_password_token_or_footage_name_comes_into_the_journal(
    web: WebHome, person: tuple[str, str], journal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, one_time = person
    visitor = web.visitor()
    log_in(visitor, login, one_time)
    log_in(web.visitor(), login, "a wrong secret")
    token = visitor.get("/password").text.split('data-csrf="')[1].split('"')[0]

    def broken(*_args: object, **_values: object) -> None:
        raise RuntimeError("something nobody foresaw")

    monkeypatch.setattr("access.identity.credentials.require_strong", broken)  # an error with secrets on the stack
    form = {"csrf": token, "old": one_time, "new": PASSWORD, "again": PASSWORD}
    answer = visitor.post("/password", data=form)
    assert answer.status_code == 500
    written = journal.getvalue()
    assert "something nobody foresaw" in written
    for secret in (one_time, "a wrong secret", PASSWORD, token, visitor.cookies[COOKIE]):
        assert secret not in written
        assert secret not in answer.text or secret == token
    assert "something nobody foresaw" not in answer.text


def test_an_unforeseen_error_tells_a_browser_nothing_of_the_inside(
    web: WebHome, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_values: object) -> None:
        raise RuntimeError("/secret/path of the inside")

    monkeypatch.setattr(type(web.house.reading), "my_day", broken)
    monkeypatch.setattr(type(web.house.reading), "show", broken)
    page = web.visitor(officer).get("/my")
    problem = web.visitor(officer).get(f"{A}/recordings/{web.recordings['talk'].id}")
    assert page.status_code == problem.status_code == 500
    assert "secret" not in page.text + problem.text
    assert "Traceback" not in page.text + problem.text
    assert json.loads(problem.text)["code"] == "evidence"
    assert problem.headers["content-type"] == "application/problem+json"
    for answer in (page, problem):
        assert "content-security-policy" in answer.headers
        assert answer.headers["cache-control"] == "no-store"
