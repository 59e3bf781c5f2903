"""A small real disc set: files with names from hostile media, their list, and the content of a disc."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from discs.image import DiscContent
from discs.manifest import EVERY_DISC, DiscManifest, ListedFile, SetFacts
from discs.plan import Plan, SourceFile, make_plan

FACTS = SetFacts(
    number="PZ-2026-0007", unit="市政园林局执法支队", producer="张三", produced_at="2026-08-31T01:30:00.000Z",
    title="张三占道经营案 <b>&amp;", case_number="厦园罚〔2026〕12号", medium="dvd+r", ground="当事人提出异议",
)  # fmt: skip
NAMES = (
    "01001_20260831T093000_第01段.MP4", "CON", "a<b>|c?.mp4", "尾点. ", "长" * 90 + ".mp4", "e\u0301mile.jpg",
    "\U0001f600.mp4", "a\\x1fb.mp4",
)  # fmt: skip
VERIFIER = "核对程序/liuhen_verify.py"


def write_files(folder: Path, sizes: list[int]) -> tuple[list[SourceFile], dict[str, Path]]:
    """Random files of the given sizes; the sources and the local file of each key."""
    dice, sources, local = random.Random(7), [], {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        data, key = dice.randbytes(size), f"rec{number}"
        local[key] = folder / f"blob={number}\\x"
        local[key].write_bytes(data)
        sources.append(
            SourceFile(
                key=key, sha256=hashlib.sha256(data).hexdigest(), size_bytes=size,
                untrusted_name=NAMES[number % len(NAMES)], order=f"2026-08-31T{number:02d}", facts={"officer": "李四"},
            )
        )  # fmt: skip
    return sources, local


def make_set(folder: Path, sizes: list[int], *, sectors: int = 400_000) -> tuple[Plan, DiscManifest, dict[str, Path]]:
    """Plan, list, and local file by path on disc, with one file that lies on every disc."""
    sources, local = write_files(folder, sizes)
    program = folder / "verifier"
    program.write_bytes(b"# a program\n" * 50)
    plan = make_plan(sources, sectors=sectors, common_bytes=600)
    files = [
        ListedFile(
            path=one.path, disc=one.disc, sha256=one.source.sha256, size_bytes=one.source.size_bytes,
            name=one.source.untrusted_name, key=one.source.key, facts=one.source.facts,
        )
        for one in plan.files
    ]  # fmt: skip
    files.append(
        ListedFile(
            path=VERIFIER, disc=EVERY_DISC, sha256=hashlib.sha256(program.read_bytes()).hexdigest(),
            size_bytes=600, name="liuhen_verify.py",
        )
    )  # fmt: skip
    paths = {one.path: local[one.source.key] for one in plan.files} | {VERIFIER: program}
    return plan, DiscManifest(facts=FACTS, discs=plan.discs, files=tuple(files)), paths


def content(manifest: DiscManifest, paths: dict[str, Path], disc: int = 1) -> DiscContent:
    return DiscContent(manifest=manifest, disc=disc, files={one.path: paths[one.path] for one in manifest.on(disc)})
