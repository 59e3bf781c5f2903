"""The pages of a case package, opened from a folder in a real Chromium: footage plays, digests are checked, a change is found."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from cases.package_build import write_package
from support.assured_home import make_home
from support.footage import talking_mp4
from support.packages import document, originals, package

pytestmark = pytest.mark.e2e
CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("package")
    home = make_home(root / "home")
    rows = home.ingest({"MOVI0001.mp4": talking_mp4()})
    items = [*originals(home, rows), document()]
    receipt = write_package(root / "案件 100", package(home, items))
    home.close()
    return receipt.bag.folder


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.fail("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser, path):
    page = browser.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    return page, complaints


def test_r27_footage_plays_from_the_folder_without_our_software(folder, browser):
    page, complaints = opened(browser, folder / "请先读我.html")
    page.wait_for_function("document.querySelector('video').readyState >= 1")
    assert page.evaluate("document.querySelector('video').duration") > 8
    assert page.locator("article").count() == 2
    assert complaints == []
    for link in page.locator("a").all():
        assert (folder / Path(re.sub("^.*?案件 100/", "", link.evaluate("each => decodeURI(each.href)")))).exists()
    page.close()


def checked(browser, folder):
    page, complaints = opened(browser, folder / "核对.html")
    page.set_input_files("#pick", str(folder))
    page.wait_for_selector('body[data-checks="1"]')
    told = page.locator("#verdict").get_attribute("class"), page.locator("#verdict").text_content()
    assert complaints == []
    page.close()
    return told


def test_the_checking_page_finds_a_changed_file(folder, browser):
    kind, text = checked(browser, folder)
    assert (kind, "完好" in text) == ("good", True), text
    video = next((folder / "data/音像").iterdir())
    content = video.read_bytes()
    video.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    kind, text = checked(browser, folder)
    video.write_bytes(content)
    assert kind == "bad", text
