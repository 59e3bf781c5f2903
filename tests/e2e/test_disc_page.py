"""The page on every disc, opened from a file in a real Chromium: good, changed, missing, and the disc after it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from discs.image import image_path, make_image
from discs.pages import VERIFY_PATH
from support.discs import content, make_set

pytestmark = pytest.mark.e2e
CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    root = tmp_path_factory.mktemp("discs")
    _, manifest, paths = make_set(root / "in", [5_000_000, 6_100_000, 0, 63, 64, 119, 120], sectors=6000)
    assert manifest.discs == 2
    for disc in (1, 2):
        make_image(root / "out", content(manifest, paths, disc), sectors_max=6000)
        subprocess.run(
            ["7z", "x", f"-o{root}/disc{disc}", str(image_path(root / "out", disc))], check=True, capture_output=True
        )
    return root, manifest


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def verdict_of(page, checks=1):
    page.wait_for_selector(f'body[data-checks="{checks}"]')
    return page.locator("#verdict").get_attribute("class"), page.locator("#verdict").text_content()


def results_of(page):
    return {row.get_attribute("data-path"): row.get_attribute("data-result") for row in page.locator("#rows tr").all()}


def open_page(browser, folder):
    page = browser.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"file://{folder}/{VERIFY_PATH}")
    return page, complaints


def test_both_discs_one_after_another(discs, browser):
    root, manifest = discs
    page, complaints = open_page(browser, root / "disc1")
    assert page.locator("#digest").text_content() == manifest.digest().hex
    assert "张三占道经营案 <b>&amp;" in page.locator("#set").text_content()
    page.set_input_files("#pick", root / "disc1")
    kind, text = verdict_of(page)
    assert kind == "open"
    assert "第 1 张盘" in text
    page.set_input_files("#pick", root / "disc2")
    kind, text = verdict_of(page, 2)
    assert (kind, set(results_of(page).values())) == ("good", {"good"}), results_of(page)
    assert str(len(manifest.files)) in text
    assert complaints == []
    page.close()


def test_a_changed_and_a_missing_file_are_named(discs, browser, tmp_path):
    root, manifest = discs
    shutil.copytree(root / "disc2", tmp_path / "disc2")
    subprocess.run(["chmod", "-R", "u+w", str(tmp_path)], check=True)
    on_disc = [one for one in manifest.on(2) if one.disc == 2]
    changed = max(on_disc, key=lambda one: one.size_bytes)
    missing = next(one for one in on_disc if one is not changed)
    data = bytearray((tmp_path / "disc2" / changed.path).read_bytes())
    data[4_500_000] ^= 1
    (tmp_path / "disc2" / changed.path).write_bytes(data)
    (tmp_path / "disc2" / missing.path).unlink()
    (tmp_path / "disc2" / "extra.txt").write_text("x")
    page, _ = open_page(browser, tmp_path / "disc2")
    page.set_input_files("#pick", tmp_path / "disc2")
    kind, text = verdict_of(page)
    assert kind == "bad"
    assert re.search(r"✗ 有 2 个文件", text)
    found = results_of(page)
    assert (found[changed.path], found[missing.path]) == ("changed", "missing")
    assert sum(result == "extra" for result in found.values()) == 1
    page.close()
