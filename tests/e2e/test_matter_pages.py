"""A matter in a real browser: begun from chosen recordings, a paper filed, agreed by a second person; without scripts too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api.dependencies import COOKIE, LANGUAGE_COOKIE
from api.services import ApiSettings
from evidence.model import Actor
from support import whole_home
from support.demo_matters import DEMO
from support.web_home import WebHome, fill, web_home
from support.web_server import served, session_token

pytestmark = pytest.mark.e2e

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
#: Sums up how far things jumped while a page came up.
SHIFTS = """
window.__shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) { if (!entry.hadRecentInput) window.__shift += entry.value; }
}).observe({ type: "layout-shift", buffered: true });
"""
WORDS = {
    "zh-CN": {
        "choose": "对所选音像资料办理", "done": "已办理并记入保管链。", "needed": "此项必填。",
        "filed": "文书已入档", "hidden": "对您不显示",
    },
    "en": {
        "choose": "Do something with the chosen recordings", "done": "Done and entered in the chain of custody.",
        "needed": "This is needed.", "filed": "The document is on file", "hidden": "Not shown to you",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHome]:
    root = tmp_path_factory.mktemp("pages")
    with web_home(root / "home", settings=ApiSettings(), forms=(DEMO,)) as made:
        fill(made, root / "cards")
        yield made
        verdict = whole_home.verify(made.house).verdict
    assert verdict == "good" or verdict == "policy-unmet"


@pytest.fixture(scope="module")
def address(web: WebHome) -> Iterator[str]:
    with served(web) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


class Person:
    """Somebody at a browser of their own; what the browser complains about is kept."""

    def __init__(
        self, browser: Browser, web: WebHome, address: str, actor: Actor, *, lang: str, scripts: bool, width: int
    ) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        self.context.add_cookies([
            {"name": COOKIE, "value": session_token(web, actor), "url": address},
            {"name": LANGUAGE_COOKIE, "value": lang, "url": address},
        ])  # fmt: skip
        self.scripts = scripts
        if scripts:
            self.context.add_init_script(SHIFTS)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> None:
        """Open a page: nothing of it jumps, nothing sticks out at the side."""
        self.page.goto(self.address + path)
        if self.scripts:
            self.page.wait_for_timeout(150)
            assert self.page.evaluate("window.__shift") < 0.1, path
            assert self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, path

    def leave(self) -> None:
        """A 422 is told by the browser as an error of the network; nothing else was."""
        assert [text for text in self.complaints if "422" not in text] == []
        self.context.close()


@pytest.mark.parametrize(("lang", "scripts", "width"), [("zh-CN", True, 1280), ("en", False, 1280), ("en", True, 390)])
def test_r17_begun_filed_and_agreed_by_two_persons(
    web: WebHome, address: str, browser: Browser, lang: str, scripts: bool, width: int, tmp_path: Path
) -> None:
    words, unit = WORDS[lang], web.units["执法一科"]
    asker, other = (web.person(f"{name} {lang} {scripts} {width}", "unit_leader", unit=unit) for name in ("甲", "乙"))
    paper = tmp_path / "关于调看的函.pdf"
    paper.write_bytes(PDF)
    talk = web.recordings["talk"]

    person = Person(browser, web, address, asker, lang=lang, scripts=scripts, width=width)
    person.go("/recordings")
    page = person.page
    page.check(f'input[name="recording"][value="{talk.id}"]')
    page.get_by_role("button", name=words["choose"]).click()
    page.locator('form[action="/matters/demo/new"] button').click()
    expect(page.locator(f'input[name="link.footage"][value="{talk.id}"]')).to_be_checked()
    page.fill('[name="f.story"]', "先填说明")
    page.locator('form.act-form button[value="act"]').click()
    expect(page.locator("#new-f-title-wrong")).to_contain_text(words["needed"])
    expect(page.locator('[name="f.story"]')).to_have_value("先填说明")
    page.fill('[name="f.title"]', "五缘湾调看")
    page.fill('[name="f.secret"]', "不可外泄")
    page.locator('form.act-form button[value="act"]').click()
    expect(page.locator("h1")).to_contain_text("五缘湾调看")
    path = page.url.removeprefix(address)
    page.set_input_files("#file", paper)
    page.locator(".upload button").click()
    expect(page.locator("main p[role=status]").first).to_contain_text(words["filed"])
    expect(page.locator("#documents")).to_contain_text(paper.name)
    person.go(path)
    person.leave()

    second = Person(browser, web, address, other, lang=lang, scripts=scripts, width=width)
    second.go("/matters")
    expect(second.page.locator("#waits")).to_contain_text("五缘湾调看")
    second.go(path)
    expect(second.page.locator("main")).to_contain_text(words["hidden"])
    assert "不可外泄" not in second.page.content()
    second.page.locator("form.act-plain button").click()
    expect(second.page.locator("main p[role=status]").first).to_contain_text(words["done"])
    with second.page.expect_download() as told:
        second.page.locator(f'a[href="{path}/print"]').click()
    assert Path(told.value.path()).read_bytes().startswith(b"%PDF")
    second.leave()
    row = web.house.matters.view(asker, path.rpartition("/")[2]).row  # type: ignore[arg-type]
    assert (row.state, row.proposed_by, row.approved_by) == ("agreed", asker.agent, other.agent)
