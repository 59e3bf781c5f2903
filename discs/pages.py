"""The two pages on every disc: what it is (without any script), and a check of all its files in the browser from ``file://``.

Both are deterministic and hold everything they need: a page opened from a disc may not fetch a file beside it. Every text that
comes from outside is escaped; the list is embedded as Base64 of its exact bytes, so that the page digests the very list.

Source: docs/formats/disc.md "Pages"; tried in Chromium on ``file://``.
"""

from __future__ import annotations

import base64
import html
import json
import re
from functools import cache
from importlib import resources
from urllib.parse import quote
from zoneinfo import ZoneInfo

from discs.manifest import EVERY_DISC, MANIFEST_PATH, SUMS_PATH, DiscManifest
from evidence.clock import from_text

README_PATH = "请先读我.html"
VERIFY_PATH = "verify.html"
OWN_PATH = "清单/本盘.json"
OWN_SUMS_PATH = "清单/本盘-sha256.txt"
#: What lies on a disc and is not in the list: pages that hold the list, and what tells one disc of the set from another.
PAGES = (README_PATH, VERIFY_PATH, MANIFEST_PATH, SUMS_PATH, OWN_PATH, OWN_SUMS_PATH)
_ZONE = ZoneInfo("Asia/Shanghai")
_SLOT = re.compile(r"@([a-z0-9_]+)@")


def local_time(text: str) -> str:
    """A time of ours as it is printed on discs: minutes in the bureau's zone."""
    return f"{from_text(text).astimezone(_ZONE):%Y-%m-%d %H:%M} (UTC+8)"


@cache
def _template(name: str) -> str:
    return resources.files("discs").joinpath("templates", name).read_text("utf-8")


def _filled(template: str, values: dict[str, str]) -> bytes:
    return _SLOT.sub(lambda slot: values.get(slot[1], slot[0]), template).encode("utf-8")


def _row(manifest: DiscManifest, disc: int, index: int) -> str:
    one = manifest.files[index]
    here = one.disc in (disc, EVERY_DISC)
    path = html.escape(one.path)
    link = f'<a href="{html.escape(quote(one.path))}">{path}</a>' if here else path
    place = "*" if one.disc == EVERY_DISC else f"{one.disc}/{manifest.discs}"
    mark = ' class="here"' if here else ""
    return (
        f"<tr><td{mark}>{place}</td><td>{link}</td><td>{html.escape(one.name)}</td>"
        f"<td>{one.size_bytes}</td><td><code>{one.sha256}</code></td></tr>\n"
    )


def readme(manifest: DiscManifest, disc: int) -> bytes:
    """``请先读我.html`` of one disc: what it is, who made it, how to check it, every file of the set with its place."""
    facts = manifest.facts
    texts = {
        "number": facts.number, "unit": facts.unit, "producer": facts.producer,
        "produced_at": local_time(facts.produced_at), "title": facts.title,
        "case_number": facts.case_number, "ground": facts.ground, "disc": str(disc), "discs": str(manifest.discs),
        "manifest_sha256": manifest.digest().hex,
    }  # fmt: skip
    values = {name: html.escape(text) for name, text in texts.items()}
    values["rows"] = "".join(_row(manifest, disc, index) for index in range(len(manifest.files)))
    return _filled(_template("readme.html"), values)


def verify_page(manifest: DiscManifest, disc: int) -> bytes:
    """``verify.html`` of one disc: checks chosen folders against the list with SHA-256 computed as the bytes are read."""
    data = {
        "disc": disc,
        "list": MANIFEST_PATH,
        "own": OWN_PATH,
        "pages": PAGES,
        "manifest": base64.b64encode(manifest.to_bytes()).decode("ascii"),
    }
    text = json.dumps(data, ensure_ascii=True, sort_keys=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return _filled(_template("verify.html"), {"data": text})
