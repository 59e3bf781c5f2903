"""Builds what makes and prints discs from a home: the folder of images, proofs, the verifier, the newest checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from api.matters.checkpoints import newest
from app.encryption import make_scratch
from app.proofs import ProofDesk
from app.verifier_program import NAME, verifier_program
from app.wiring import House
from documents.blocks import Checkpoint
from evidence.errors import PolicyUnmetError
from retention.disc_papers import DiscPapers
from retention.disc_queue import DiscDesk
from retention.disc_shelf import DiscShelf
from retention.disc_work import DiscParts, DiscWork

_FOLDER: Final = "discs"


def images_folder(house: House) -> Path:
    """Where images lie while discs are made."""
    wanted = house.settings.discs.folder
    if wanted is not None:
        return wanted if wanted.is_absolute() else house.home.root / wanted
    return (house.scratch if house.encryption is not None else house.home.root) / _FOLDER


def disc_shelf(house: House) -> DiscShelf:
    """The folder of images; refused at work where footage is encrypted and the folder lies on a disk in the open."""
    folder = images_folder(house)

    def ready() -> None:
        if house.encryption is not None:
            if house.settings.discs.folder is None:
                make_scratch(house.scratch)
            make_scratch(folder)

    return DiscShelf(folder=folder, stores=house.stores, catalogue=house.catalogue, filer=house.papers, ready=ready)


def disc_work(house: House) -> DiscWork:
    """Makes, burns and checks discs in a person's name."""
    desk = ProofDesk(
        house.catalogue, gate=house.gate, published=house.home.public_log, verifier=house.sealer.verifier
    )  # fmt: skip

    def common() -> Mapping[str, bytes]:
        try:
            checkpoint = (house.home.public_log / "checkpoint").read_bytes()
        except OSError as error:
            raise PolicyUnmetError("the log has no published checkpoint yet", todo="Seal first.") from error
        return {f"核对程序/{NAME}": verifier_program(), "保管链/checkpoint.txt": checkpoint}

    return DiscWork(
        DiscParts(
            catalogue=house.catalogue, desk=house.matters, authoriser=house.gate, clock=house.clock,
            shelf=disc_shelf(house), proof=desk.bundle, common=common, unit_name=house.settings.station.name,
            look_every_months=house.settings.discs.look_months,
        )
    )  # fmt: skip


def disc_desk(house: House) -> DiscDesk:
    """Tells what waits, what is on which disc, what is due."""
    return DiscDesk(house.catalogue, authoriser=house.gate, clock=house.clock)


def disc_papers(house: House) -> DiscPapers:
    """Prints labels and wraps."""
    return DiscPapers(house.catalogue, house.matters, disc_shelf(house))


def newest_checkpoint(house: House) -> Checkpoint | None:
    """What printed papers are under."""
    return newest(house.home.public_log, house.vkey)
