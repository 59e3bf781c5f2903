"""The two pages of a package: what is in it, with players that work from ``file://``; and a check of all its files.

Both hold everything they need and fetch nothing. Every text that comes from outside is escaped. The checking page is the one
that discs bear (:mod:`discs.pages`), told in words of a package.

Source: RULES R27; docs/formats/package.md; tried in Chromium on ``file://``.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Final
from urllib.parse import quote

from cases.package_content import (
    README_PATH,
    VERIFIER_PATH,
    VERIFY_LIST_PATH,
    VERIFY_PATH,
    VKEY_PATH,
    Content,
    ItemKind,
    PackageForm,
    Placed,
)
from discs.manifest import DiscManifest, ListedFile, SetFacts
from discs.pages import local_time
from evidence.clock import to_text

_SLOT: Final = re.compile(r"@([a-z0-9_]+)@")
_KINDS: Final = {
    ItemKind.ORIGINAL: '原始文件 <span lang="en">original</span>',
    ItemKind.VIEWING: '查看副本，非原始文件 <span lang="en">viewing copy, not the original</span>',
    ItemKind.CLIP: '片段，非原始文件 <span lang="en">clip, not the original</span>',
    ItemKind.DOCUMENT: '文书 <span lang="en">document</span>',
    ItemKind.TREATED: '技术处理副本 <span lang="en">treated copy</span>',
}
_FACTS: Final = {
    "started_at": '录制开始 <span lang="en">Started</span>',
    "ended_at": '录制结束 <span lang="en">Ended</span>',
    "duration": '时长 <span lang="en">Duration</span>',
    "device": '设备 <span lang="en">Recorder</span>',
    "officer": '执法人员 <span lang="en">Officer</span>',
    "in": '自 <span lang="en">From</span>',
    "out": '至 <span lang="en">To</span>',
    "note": '说明 <span lang="en">Note</span>',
    "sm3": "SM3",
    "verdict": '状况 <span lang="en">Condition</span>',
}
_FULL_ONLY: Final = re.compile(r"<!-- full -->.*?<!-- /full -->", re.DOTALL)
#: So many players load their length at once; of more, none does until it is played.
_PRELOADED_MAX: Final = 40
#: Files of the bag that the checking page knows although its list cannot hold them.
_ASIDE: Final = (
    README_PATH, VERIFY_PATH, VERIFY_LIST_PATH, "bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt",
)  # fmt: skip
#: The disc page's words, and a package's.
_WORDS: Final = (
    ("核对光盘", "核对案卷包"),
    ("Check the disc", "Check the package"),
    ("请与盘面或盘套上的值比较。", "请与交接登记上的值比较。"),
    ("Compare it with label or sleeve.", "Compare it with the register of hand-over."),
    ("选择整张光盘（文件夹）", "选择整个文件夹"),
    ("Choose the whole disc (folder)", "Choose the whole folder"),
    (" 多张盘可以依次选择。 Several discs may be chosen one after another.", ""),
    ("本盘缺少", "缺少"),
    ("missing on this disc", "missing"),
    ('盘 <span class="en">Disc</span>', '包 <span class="en">Package</span>'),
)


@cache
def _own_template() -> str:
    return resources.files("cases").joinpath("templates", "package.html").read_text("utf-8")


@cache
def _checking_template() -> str:
    text = resources.files("discs").joinpath("templates", "verify.html").read_text("utf-8")
    for before, after in _WORDS:
        text = text.replace(before, after)
    return text


def _filled(template: str, values: dict[str, str]) -> bytes:
    return _SLOT.sub(lambda slot: values.get(slot[1], slot[0]), template).encode("utf-8")


def _row(label: str, value: str) -> str:
    return f"<tr><th>{label}</th><td>{html.escape(value)}</td></tr>\n" if value else ""


def _player(one: Placed, preload: str) -> str:
    source = html.escape(quote(one.path))
    kind = one.item.media_type.partition("/")[0]
    if kind == "video":
        return f'<video controls preload="{preload}" src="{source}"></video>'
    if kind == "audio":
        return f'<audio controls preload="{preload}" src="{source}"></audio>'
    return f'<img alt="" loading="lazy" src="{source}">' if kind == "image" else ""


def _article(one: Placed, *, player: str) -> str:
    item = one.item
    path = html.escape(one.path)
    rows = "".join(_row(_FACTS[name], item.facts.get(name, "")) for name in _FACTS)
    proof = f'<tr><th>证明 <span lang="en">Proof</span></th><td><code>{html.escape(one.proof_path)}</code></td></tr>'
    return (
        f"<article><h3>{one.number:04d} · {html.escape(item.name)}</h3>\n{player}<table><tbody>"
        f'<tr><th>类别 <span lang="en">Kind</span></th><td>{_KINDS[item.kind]}</td></tr>'
        f'<tr><th>文件 <span lang="en">File</span></th><td><a href="{html.escape(quote(one.path))}">{path}</a></td></tr>{rows}'
        f'<tr><th>字节 <span lang="en">Bytes</span></th><td>{item.size_bytes}</td></tr>'
        f"<tr><th>SHA-256</th><td><code>{item.sha256}</code></td></tr>{proof if one.proof_path else ''}"
        f"</tbody></table></article>\n"
    )


def _articles(files: Sequence[Placed]) -> Iterable[str]:
    shown_elsewhere = {one.item.group for one in files if one.item.kind is ItemKind.VIEWING}
    preload = "metadata" if len(files) <= _PRELOADED_MAX else "none"  # hundreds of players would read hundreds of files
    for one in files:
        plays = one.item.kind is not ItemKind.ORIGINAL or one.item.group not in shown_elsewhere
        yield _article(one, player=_player(one, preload) if plays else "")


def readme(content: Content, files: Sequence[Placed]) -> bytes:
    """``请先读我.html``."""
    facts = content.facts
    example = next((one for one in files if one.proof_path), files[0])
    published = PackageForm.PUBLICATION is facts.form
    told = [
        ('案件 <span lang="en">Case</span>', facts.title), ('案号 <span lang="en">Case number</span>', facts.case_number),
        *((html.escape(label), value) for label, value in content.summary),
        ('包号 <span lang="en">Package</span>', facts.number), ('制作单位 <span lang="en">Unit</span>', facts.unit),
        ('制作人 <span lang="en">Made by</span>', facts.producer), ('批准人 <span lang="en">Approved by</span>', facts.approver),
        ('制作时间 <span lang="en">Made</span>', local_time(to_text(facts.made_at))),
        ('用途 <span lang="en">Purpose</span>', facts.purpose), ('接收人 <span lang="en">Recipient</span>', facts.recipient),
        ('依据 <span lang="en">Authority</span>', facts.authority),
    ]  # fmt: skip
    texts = {
        "title": facts.title or facts.case_number, "number": facts.number, "vkey": content.vkey, "origin": content.origin,
        "size": str(content.size), "root": content.root, "verify": VERIFY_PATH, "verify_href": quote(VERIFY_PATH),
        "verifier": VERIFIER_PATH, "vkey_path": VKEY_PATH, "example": example.path, "example_proof": example.proof_path,
        "example_windows": example.path.replace("/", "\\"),
    }  # fmt: skip
    values = {name: html.escape(text) for name, text in texts.items()}
    values["heading"] = (
        '供公开的技术处理副本 <span lang="en">Treated copies for publication</span>' if published
        else '案卷音像资料与文书 <span lang="en">Footage and documents of a case</span>'
    )  # fmt: skip
    values["warning"] = (
        '<p class="note">本包含原始资料，仅限上列用途，不得公开传播。 <span lang="en">This package holds originals: for the '
        "purpose above only, not to be published.</span></p>"
        if not published else ""
    )  # fmt: skip
    values["facts"] = "".join(_row(label, value) for label, value in told)
    values["items"] = "".join(_articles(files))
    template = _own_template()
    if published:  # nothing of it can be proved by the log: it was made anew
        template = _FULL_ONLY.sub("", template)
    return _filled(template, values)


def checking_list(content: Content, files: Sequence[tuple[str, str, int, str]]) -> bytes:
    """``核对清单.json``: what the checking page checks, as (path, digest, size, original name)."""
    facts = content.facts
    return DiscManifest(
        facts=SetFacts(
            number=facts.number, unit=facts.unit, producer=facts.producer, produced_at=to_text(facts.made_at),
            title=facts.title, case_number=facts.case_number,
        ),
        discs=1,
        files=tuple(
            ListedFile(path=path, disc=1, sha256=sha256, size_bytes=size, name=name) for path, sha256, size, name in files
        ),
    ).to_bytes()  # fmt: skip


def checking_page(listed: bytes) -> bytes:
    """``核对.html``, with the list in it."""
    data = {
        "disc": 1, "list": VERIFY_LIST_PATH, "own": "", "pages": _ASIDE, "manifest": base64.b64encode(listed).decode("ascii"),
    }  # fmt: skip
    text = json.dumps(data, ensure_ascii=True, sort_keys=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return _filled(_checking_template(), {"data": text})
