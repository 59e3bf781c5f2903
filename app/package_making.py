"""Builds what makes packages of cases from a home."""

from __future__ import annotations

from access.reading import scopes_of
from api.web.custody_words import EVENTS
from api.web.i18n import DEFAULT_LANGUAGE, translate
from app.encryption import make_scratch
from app.verifier_program import verifier_program
from app.wiring import House
from cases.package_gather import PackageParts
from cases.packages import CasePackages


def case_packages(house: House) -> CasePackages:
    """Makes packages in a person's name. They leave the house, so they speak Chinese, with English beside it."""

    def say(message: str) -> str:
        return translate(message, DEFAULT_LANGUAGE)

    def ready() -> None:
        if house.encryption is not None:
            make_scratch(house.scratch)

    return CasePackages(
        PackageParts(
            catalogue=house.catalogue, desk=house.matters, authoriser=house.gate, clock=house.clock, blobs=house.blobs,
            published=house.home.public_log, verifier=house.sealer.verifier, program=verifier_program(), scopes=scopes_of,
            say=say, say_event=lambda name: say(EVENTS.get(name, name)), woken=house.wake_sealer.set,
            plain=house.stores.primary.plain_file, scratch=house.scratch, ready_scratch=ready,
        )
    )  # fmt: skip
