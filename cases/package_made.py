"""What is made for a package and kept nowhere else: clips of the case, and copies that browsers play where nobody made one yet.

Made in a scratch directory that is gone after the package is written or sent. What cannot be made is told at its original; it
stops nothing, for the original is there.

Source: RULES R16, R22, R27; docs/formats/package.md.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cases import dossier_parts
from cases.package_content import Item, ItemKind
from cases.package_gather import PackageParts
from catalogue.matters import LinkRow
from evidence.digest import SHA256, Digest
from evidence.errors import BlobNotFoundError, MediaError
from matters.looking import MatterView
from media.clip import cut
from media.viewing import make_viewing

_CHUNK_BYTES: Final = 1 << 20


class Maker:
    """Makes clips and viewing copies for one package.

    Args:
        parts: What it works with.
        view: The case as the person may see it.
        kept: Linked recording -> the recording that keeps its bytes (itself, but for duplicates).
        unplayable: Recordings that browsers do not play and that have no viewing copy.
        scratch: Where everything is made.
    """

    def __init__(
        self, parts: PackageParts, view: MatterView, *, kept: Mapping[str, str], unplayable: Collection[str], scratch: Path
    ) -> None:  # fmt: skip
        self._parts = parts
        self._view = view
        self._kept = kept
        self._unplayable = unplayable
        self._scratch = scratch

    def items(self, gathered: Sequence[Item]) -> list[Item]:
        """The items with what is made of their originals behind each, and its marks told at it.

        Raises:
            StoreError: No store gives an original.
        """
        out: list[Item] = []
        for item in gathered:
            if item.kind is not ItemKind.ORIGINAL:
                out.append(item)
                continue
            notes, made = self._of(item, len(out))
            out += [replace(item, facts={**item.facts, "note": "；".join(notes)} if notes else item.facts), *made]
        return out

    def _of(self, item: Item, number: int) -> tuple[list[str], list[Item]]:
        notes: list[str] = []
        made: list[Item] = []
        marks = [
            link for link in self._view.links
            if link.role == dossier_parts.CLIP and self._kept.get(link.target, link.target) == item.group
        ]  # fmt: skip
        wants_copy = item.group in self._unplayable
        if not marks and not wants_copy:
            return notes, made
        with self._plain(item) as source:
            if wants_copy:
                try:
                    made.append(self._viewing(item, source, self._scratch / f"{number}-viewing.mp4"))
                except MediaError:
                    notes.append(
                        "浏览器不能播放，且未能制作查看副本 not played by browsers, and no viewing copy could be made"
                    )
            for link in sorted(marks, key=dossier_parts.order_of):
                begin, end = int(link.facts.get("in_ms", 0)), int(link.facts.get("out_ms", 0))
                span = dossier_parts.clock_text(begin)
                if end > begin:
                    span = f"{span} – {dossier_parts.clock_text(end)}"
                    try:
                        made.append(self._clip(item, link, source, self._scratch / f"{number}-{link.key}.mp4"))
                    except MediaError:
                        span += "（未能截取 could not be cut）"
                notes.append(" ".join(part for part in (span, self._words_of(link)) if part))
        return notes, made

    @contextlib.contextmanager
    def _plain(self, item: Item) -> Iterator[Path]:
        """A file with the original's bytes: the first store's own, else one laid out from whichever store has them."""
        with contextlib.ExitStack() as stack:
            try:
                path = stack.enter_context(self._parts.plain(Digest(SHA256, item.sha256)))
            except BlobNotFoundError:
                path = self._scratch / f"{item.sha256}.original"
                stack.callback(path.unlink, missing_ok=True)
                with item.open() as source, path.open("xb") as file:
                    while chunk := source.read(_CHUNK_BYTES):
                        file.write(chunk)
            yield path

    def _viewing(self, item: Item, source: Path, target: Path) -> Item:
        recipe = make_viewing(source, target)
        facts = {"made_of": item.sha256, "made_with": f"{recipe.tool} {recipe.plan}"}
        return _item(item, ItemKind.VIEWING, target, "video/mp4", facts)

    def _clip(self, item: Item, link: LinkRow, source: Path, target: Path) -> Item:
        begin, end = int(link.facts["in_ms"]), int(link.facts["out_ms"])
        made = cut(source, target.parent, name=target.name, begin_ms=begin, end_ms=end)
        facts = {
            "in": dossier_parts.clock_text(begin), "out": dossier_parts.clock_text(end), "in_ms": f"{begin:012d}",
            "note": self._words_of(link), "made_of": item.sha256, "made_with": made.recipe,
        }  # fmt: skip
        return _item(item, ItemKind.CLIP, made.path, made.media_type, facts)

    def _words_of(self, link: LinkRow) -> str:
        """What somebody wrote about a link."""
        return str(self._view.row.words.get(f"link:{link.role}:{link.target}:{link.key}", ""))


def _item(of: Item, kind: ItemKind, path: Path, media_type: str, facts: Mapping[str, str]) -> Item:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Item(
        kind=kind, name=f"{of.name}.mp4", sha256=digest, size_bytes=path.stat().st_size, group=of.group, at=of.at,
        open=lambda: path.open("rb"), media_type=media_type,
        facts={name: value for name, value in facts.items() if value},
    )  # fmt: skip
