"""Label and wrap of a disc: the five fields of R12, which disc and copy it is, and the digest of the set's list as QR code.

Both are made from what was entered and from the list that is on the disc itself, so that they cannot say anything else.

Source: RULES R12; docs/formats/disc.md "Label".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from catalogue import Catalogue
from catalogue.matters import MatterRow
from discs.manifest import EVERY_DISC
from discs.media import medium_kind
from documents.blocks import Checkpoint
from documents.covers import DiscFace, disc_label, disc_wrap
from documents.words import Language
from evidence.clock import from_text
from evidence.errors import InvalidInputError
from evidence.ids import MatterId
from evidence.model import Actor
from matters.desk import MatterDesk
from retention import disc_terms as terms
from retention.disc_shelf import DiscShelf

Paper = Literal["label", "wrap"]
_WORDS: Final = {
    "zh-CN": {
        "A": "A 封存", "B": "B 利用", "C": "C 异地", "title": "执法音像资料光盘", "head": ("编号", "原始文件名", "字节"),
        "note": "打开盘内 verify.html 即可核对；清单校验值须与本页二维码一致。",
    },
    "en": {
        "A": "A sealed", "B": "B working", "C": "C elsewhere", "title": "Disc of enforcement footage",
        "head": ("No.", "Original name", "Bytes"),
        "note": "Open verify.html on the disc to check it; the digest of the list must be the one in the QR code.",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DiscPapers:
    """Prints labels and wraps for whoever may see the disc."""

    catalogue: Catalogue
    desk: MatterDesk
    shelf: DiscShelf

    def paper(
        self, actor: Actor, disc: MatterId, paper: Paper, *, checkpoint: Checkpoint | None, lang: Language = "zh-CN"
    ) -> bytes:
        """A PDF for one disc.

        Raises:
            AccessDeniedError: Not theirs to see (entered). InvalidInputError: it is no disc. DiscError: the list is gone.
        """
        row = self.desk.view(actor, disc).row
        if row.kind != terms.DISC:
            raise InvalidInputError(f"{row.number} is no disc")
        face = self._face(row, checkpoint, lang)
        return disc_label(face) if paper == "label" else disc_wrap(face, str(_WORDS[lang]["title"]))

    def _face(self, row: MatterRow, checkpoint: Checkpoint | None, lang: Language) -> DiscFace:
        with self.catalogue.read() as uow:
            (link,) = uow.matters.links(row.id, role=terms.OF_SET)
            owner = uow.matters.get(MatterId(link.target))
        manifest = self.shelf.bundle(owner.number, str(owner.facts["bundle_sha256"])).manifest
        words, disc = _WORDS[lang], int(row.facts["disc"])
        number, name, size = words["head"]
        return DiscFace(
            unit=manifest.facts.unit, producer=manifest.facts.producer, produced_at=from_text(manifest.facts.produced_at),
            matter=manifest.facts.title, matter_number=manifest.facts.case_number, set_number=f"{owner.number} {row.number}",
            disc=disc, discs=manifest.discs, copy=str(words[str(row.facts["copy"])]),
            manifest_sha256=manifest.digest().hex, checkpoint=checkpoint, lang=lang,
            medium=medium_kind(manifest.facts.medium).title, file_head=(number, name, size), note=str(words["note"]),
            files=[
                (one.path.rpartition("/")[2].partition("_")[0], one.name, f"{one.size_bytes:,}")
                for one in manifest.files
                if one.disc == disc and one.disc != EVERY_DISC and one.key
            ],
        )  # fmt: skip
