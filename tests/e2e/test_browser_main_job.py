"""The main job in a real browser: log in, find a recording, watch it, see its custody, have it verified, in two languages.

One server process (``liuhen demo``) with three docked sources of real recordings serves all of it; at the end it is stopped and
the command line verifies the same home. With ``LIUHEN_SCREENSHOTS=<folder>`` pictures for the manual are written there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

pytestmark = pytest.mark.e2e

LIUHEN = Path(sys.executable).with_name("liuhen")
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
PASSWORD = "a long evidence password"
START_S = 150.0
#: The H.264 recording that a recorder kept twice because its officer pressed the mark. Whichever came first is kept.
TWINS = re.compile(r"_0007(IMP)?\.mp4$")


class Station:
    """The demonstration as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = home.with_name("output.txt")
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [str(LIUHEN), "demo", "--home", str(home), "--port", "0"], stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        text = self._wait()
        found = re.search(r"http://127\.0\.0\.1:\d+", text)
        assert found is not None, text
        self.url = found[0]
        self.passwords = dict(re.findall(r"^  (admin|officer|reviewer|auditor) +([a-z0-9-]{19}) ", text, re.MULTILINE))

    def _wait(self) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            text = self.output.read_text(errors="replace")
            if "Serving until" in text:
                return text
            time.sleep(0.25)
        raise AssertionError(self.output.read_text(errors="replace"))

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def station() -> Iterator[Station]:
    folder = Path(tempfile.mkdtemp(prefix="liuhen-browser-"))
    made = None
    try:
        made = Station(folder / "home")
        yield made
    finally:
        if made is not None:
            made.stop()
        # As root the stores make files immutable; only this throw-away home is opened again.
        subprocess.run(["chattr", "-R", "-i", str(folder)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


class Person:
    """Somebody at a browser; what the browser complains about is kept."""

    def __init__(self, browser: Browser, station: Station, login: str) -> None:
        self.station = station
        self.login = login
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 850}, locale="zh-CN")
        self.page: Page = self.context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def go(self, path: str) -> None:
        self.page.goto(self.station.url + path)

    def enter(self, password: str) -> None:
        self.page.fill("#login", self.login)
        self.page.fill("#password", password)
        self.page.click("main form button")

    def first_log_in(self) -> None:
        """With the one-time password, which must be changed before anything else is shown."""
        self.go("/")
        expect(self.page).to_have_url(re.compile("/login"))
        one_time = self.station.passwords[self.login]
        self.enter(one_time)
        expect(self.page).to_have_url(re.compile("/password$"))
        self.go("/recordings")
        expect(self.page).to_have_url(re.compile("/password$"))
        self.page.fill("#old", one_time)
        self.page.fill("#new", PASSWORD)
        self.page.fill("#again", PASSWORD)
        self.page.click("main form button")
        expect(self.page).to_have_url(re.compile("/login"))
        self.enter(PASSWORD)
        expect(self.page.locator(".who span")).to_be_visible()

    def picture(self, name: str) -> None:
        """A picture for the manual, where one is wanted."""
        if folder := os.environ.get("LIUHEN_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / name)

    def leave(self) -> None:
        assert self.complaints == []
        self.context.close()


@contextmanager
def logged_in(browser: Browser, station: Station, login: str) -> Iterator[Person]:
    person = Person(browser, station, login)
    person.first_log_in()
    yield person
    person.leave()


def open_kept_twin(page: Page) -> None:
    """From the list to the kept one of the two recordings with the same bytes; its page shows the mark and both names."""
    twins = page.locator("tbody tr").filter(has=page.locator("a", has_text=TWINS))
    expect(twins).to_have_count(2)
    expect(twins.filter(has_text="与已存资料重复")).to_have_count(1)
    twins.filter(has_text="已封存").locator("a").click()


def text_of(page: Page) -> str:
    return page.locator("main").inner_text()


def a_reviewer_finds_watches_and_verifies_a_recording_in_two_languages(person: Person) -> None:
    page = person.page
    expect(page).to_have_url(re.compile("/recordings$"))
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    expect(page.locator("tbody tr")).to_have_count(10)
    page.fill("#text", "二号门")
    page.press("#text", "Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    person.go("/recordings")
    open_kept_twin(page)
    expect(page.locator("main")).to_contain_text("已封存")
    expect(page.locator("main")).to_contain_text("重点标记")

    watch(page)

    timeline = page.locator(".timeline").inner_text()
    for word in ("在记录仪上发现", "每个字节已读取并计算校验值", "各副本读回相符，已入库", "已检查", "打开页面"):
        assert word in timeline

    page.locator("#verify button").click()
    expect(page.locator("#verify")).to_contain_text("读回相符", timeout=20_000)
    expect(page.locator("#verify li")).to_have_count(4)  # two copies of the recording, two of its manifest
    assert "不符" not in page.locator("#verify").inner_text()
    expect(page.locator("#timeline")).to_contain_text("完整性校验")  # without loading the page again
    expect(page.locator("#copies .state-good")).to_have_count(2)

    page.locator("button[name=lang]").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("h2", has_text="Chain of custody")).to_be_visible()
    assert "Fixity check" in page.locator(".timeline").inner_text()
    with page.expect_download() as download:
        page.locator("a[download]").click()
    assert download.value.path().read_text().startswith("c2sp.org/tlog-proof")


def until(page: Page, condition: str) -> None:
    """Wait for a condition; asked from outside, for the page's own policy allows no evaluated scripts."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(200)
    raise AssertionError(condition)


def watch(page: Page) -> None:
    """Play, and insist on moving pictures; step one frame; change the speed."""
    shown = "document.querySelector('lh-player video')"
    page.locator("lh-player button").first.click()
    until(page, f"{shown}.currentTime > 1 && {shown}.videoWidth > 0")
    page.keyboard.press("k")
    until(page, f"{shown}.paused")
    page.wait_for_timeout(300)
    before = page.evaluate(f"{shown}.currentTime")
    page.keyboard.press("ArrowRight")
    until(page, f"{shown}.currentTime > {before}")
    assert page.evaluate(f"{shown}.currentTime") - before < 0.11  # one or two frames of 30 a second
    page.keyboard.press(".")
    assert page.evaluate(f"{shown}.playbackRate") == 1.5
    page.keyboard.press(",")
    assert page.locator("lh-player .message").is_hidden()


def an_officer_sees_whether_their_recordings_are_in_and_which_file_is_missing(person: Person) -> None:
    page = person.page
    expect(page).to_have_url(re.compile("/my$"))
    expect(page.locator("h1")).to_have_text("我的录像交齐了吗？")
    expect(page.locator("#answer")).to_contain_text("_start.mp4")  # still being written: so not everything is in
    expect(page.locator("#answer")).to_contain_text("录像尚未交齐")
    expect(page.locator("#answer")).to_contain_text("已入库并封存")
    person.picture("my.png")
    person.go("/my?day=2020-01-01")
    expect(page.locator("#answer")).to_be_visible()
    assert page.locator("#answer .state-good").count() == 0  # nothing known is no yes
    menu = page.locator("nav a").all_inner_texts()
    assert "人员" not in menu
    assert "系统" not in menu


def an_administrator_runs_docks_recorders_people_and_system_and_is_warned_of_one_disk(person: Person) -> None:
    page = person.page
    expect(page).to_have_url(re.compile("/wall$"))
    expect(page.locator("lh-dock-wall .slot")).to_have_count(3, timeout=15_000)
    expect(page.locator("lh-dock-wall")).to_contain_text("全部已封存", timeout=15_000)
    expect(page.locator("lh-dock-wall")).to_contain_text("已封存，另有文件仍在写入")
    expect(page.locator(".notice").first).to_contain_text("同一故障域")
    person.picture("wall.png")

    person.go("/devices")
    expect(page.locator("tbody tr")).to_have_count(3)

    person.go("/people")
    page.fill("#p-name", "值班员")
    page.fill("#p-login", "duty")
    page.locator("form[action='/people/agent'] button").click()
    expect(page.locator("main [role=status]")).to_contain_text("一次性密码")
    assert re.search(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}", text_of(page))
    expect(page).to_have_url(re.compile("/people$"))  # loading it again makes no further password
    page.reload()
    assert not re.search(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}", text_of(page))
    expect(page.locator("tbody")).to_contain_text("duty")

    person.go("/system")
    expect(page.locator("#health")).to_contain_text("保管链日志")
    expect(page.locator("#health .state-bad").first).to_be_visible()  # one failure domain is shown as what it is
    page.locator("form[action='/system/verify'] button").click()
    checked = page.locator("section:has(form[action='/system/verify'])")
    expect(checked).to_contain_text("全部相符", timeout=START_S * 1000)  # the page tells the end by itself

    person.go("/recordings")
    page.locator("tbody a").first.click()
    expect(page.locator("main")).to_contain_text("无权查看其内容")  # administrators run the house and watch nothing
    assert page.locator("lh-player").count() == 0


def an_auditor_reads_who_watched_and_watches_nothing(person: Person) -> None:
    page = person.page
    person.go("/findings")
    expect(page.locator("h1")).to_have_text("发现")
    person.go("/recordings")
    open_kept_twin(page)
    expect(page.locator(".timeline")).to_be_visible()
    assert page.locator("lh-player").count() == 0
    assert "示例法制审核" in page.locator(".timeline").inner_text()  # who watched it before
    person.go("/people")
    expect(page.locator("tbody tr").first).to_be_visible()
    assert page.locator("form[action='/people/role']").count() == 0  # sees people, changes none


def a_wall_shows_nothing_more_once_its_session_has_ended(browser: Browser, station: Station) -> None:
    """Logged out elsewhere: the stream of the wall ends at once, and the page asks for a log-in instead of looking alive."""
    person = Person(browser, station, "admin")
    page = person.page
    person.go("/wall")
    person.enter(PASSWORD)
    expect(page.locator("lh-dock-wall .slot")).to_have_count(3, timeout=15_000)
    card = page.locator("lh-dock-wall .slot").first.element_handle()
    page.wait_for_timeout(6_000)  # at least one sign of life: what says the same stays the same element
    assert card.evaluate("node => node.isConnected")
    token = page.evaluate("document.body.dataset.csrf")
    ended = page.request.delete(f"{station.url}/api/v1/session", headers={"X-Liuhen-Csrf": token})
    assert ended.status == 204
    expect(page).to_have_url(re.compile(r"/login\?back=%2Fwall$"), timeout=20_000)
    person.context.close()


def the_home_verifies_on_the_command_line_after_the_service_has_stopped(station: Station) -> None:
    assert station.stop() in (0, 130, -signal.SIGINT)
    ran = subprocess.run(
        [str(LIUHEN), "verify", "--home", str(station.home), "--json"], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = station.output.read_text(errors="replace")
    assert PASSWORD not in told
    assert "Traceback" not in told
    assert "unexpected_error" not in told


def test_the_main_job_in_a_real_browser_by_every_role_and_then_on_the_command_line(
    browser: Browser, station: Station
) -> None:
    """One story in one order: what the reviewer watched is what the auditor reads, and at the end the service stops."""
    for login, story in (
        ("reviewer", a_reviewer_finds_watches_and_verifies_a_recording_in_two_languages),
        ("officer", an_officer_sees_whether_their_recordings_are_in_and_which_file_is_missing),
        ("admin", an_administrator_runs_docks_recorders_people_and_system_and_is_warned_of_one_disk),
        ("auditor", an_auditor_reads_who_watched_and_watches_nothing),
    ):
        with logged_in(browser, station, login) as person:
            story(person)
    a_wall_shows_nothing_more_once_its_session_has_ended(browser, station)
    the_home_verifies_on_the_command_line_after_the_service_has_stopped(station)
