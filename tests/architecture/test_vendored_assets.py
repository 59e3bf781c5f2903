"""The pages' third-party files are the ones that were vendored, with their licences; the pages load nothing from elsewhere."""

import hashlib
import json
import re

from support.repository import ROOT

VENDOR = ROOT / "api" / "web" / "static" / "vendor"
LISTED = {
    name: digest
    for digest, name in (line.split("  ", 1) for line in (VENDOR / "SHA256SUMS").read_text("ascii").splitlines())
}


def test_every_file_has_its_digest_and_every_digest_its_file():
    there = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.glob("*/**/*")
        if path.is_file()
    }
    assert there == LISTED


def test_every_package_brings_its_licence():
    for package in {name.split("/")[0] for name in LISTED}:
        assert (VENDOR / package / "LICENSE").stat().st_size > 200, package


def test_the_lock_holds_integrity_digests_for_what_package_json_names():
    wanted = json.loads((VENDOR / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads((VENDOR / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in wanted.items():
        entry = locked[f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["integrity"].startswith("sha512-")


def test_no_page_loads_anything_from_another_host():
    loads = re.compile(
        r"""(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?//|@import|url\(\s*["']?https?:""", re.IGNORECASE
    )
    pages = [path for kind in ("html", "css", "js") for path in (ROOT / "api").rglob(f"*.{kind}")]
    assert pages
    ours = [path for path in pages if VENDOR not in path.parents]
    assert [path.name for path in ours if loads.search(path.read_text("utf-8"))] == []
