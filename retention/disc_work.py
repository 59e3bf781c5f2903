"""Making discs: what a person orders at the station, done by program, entered in the person's name.

Each step is entered after it is true: an image after it was read back, a disc before it is burnt (so that no disc with footage on
it is unknown) and again after, a copy only after every sector was read. Crash: images begin again (:mod:`discs.image`), a disc
that was being burnt is marked as spoilt at the next order, a read-back that was not finished is done again.

Source: RULES R11, R12; docs/runbooks/discs.md; docs/invariants.md 2, 6, 7.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalogue import Catalogue
from catalogue.matters import MatterRow
from discs.burn import burn, dry_check
from discs.check import DiscCheck, check_by_itself, check_disc
from discs.drive import Drive, Medium
from discs.image import DiscContent, DiscImage, Told, image_path, made_image, make_image, record_path, untold
from discs.laid import volume_of
from discs.manifest import SetFacts
from discs.media import medium_kind
from discs.readback import ReadBack
from evidence.calendar import add_months, local_date
from evidence.clock import Clock, to_text
from evidence.durable import fsync_file, link_new, make_dirs, publish_new, write_all
from evidence.errors import (
    DiscDamagedError,
    DiscDriveError,
    DiscError,
    DiscMediumError,
    InvalidInputError,
    PolicyUnmetError,
    StateConflictError,
)
from evidence.ids import MatterId, RecordingId
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.turn import Asked, NewLink
from retention import disc_terms as terms
from retention.disc_bundle import DiscBundle, make_bundle, recordings_of
from retention.disc_follow import held, place_of, places_of
from retention.disc_set_form import discs_of, plan_of
from retention.disc_shelf import DiscShelf

_DAMAGE_ROWS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscParts:
    """What disc work needs.

    Attributes:
        catalogue: Sets, discs and recordings.
        desk: Enters what was done.
        authoriser: Asked before each order.
        clock: Injected time.
        shelf: Where images lie.
        proof: A recording's proof of custody for an actor.
        common: Files for every disc by path (the verifier, the newest checkpoint).
        unit_name: Name of the producing unit where the set has no department.
        look_every_months: How often a disc is looked at again.
    """

    catalogue: Catalogue
    desk: MatterDesk
    authoriser: Authoriser
    clock: Clock
    shelf: DiscShelf
    proof: Callable[[Actor, RecordingId], bytes]
    common: Callable[[], Mapping[str, bytes]]
    unit_name: str
    look_every_months: int = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """A disc after a read-back: how it stands, and what was found."""

    row: MatterRow
    good: bool
    read: ReadBack


class DiscWork:
    """Orders of a person at the station's drives."""

    def __init__(self, parts: DiscParts) -> None:
        self._parts = parts

    # --- images -------------------------------------------------------------------------------------------------------
    def build(self, actor: Actor, matter: MatterId, *, told: Told = untold) -> MatterRow:
        """Make the images of a set, or those that are missing; its list is made first, once and for all.

        Raises:
            AccessDeniedError: Not theirs to do. PolicyUnmetError: a recording is not sealed.
            DiscError and its family, StoreFullError, DigestMismatchError: an image could not be made; none is left half.
        """
        row = self._asked(actor, matter, terms.DISC_SET, "build")
        if row.state in (terms.MIGRATED, terms.WITHDRAWN):
            raise StateConflictError(f"{row.number} is closed", kept="Nothing was made.")
        with self._parts.shelf.held(row.number) as folder:
            row, bundle = self._bundle(actor, row)
            images = [
                self._image(actor, row, bundle, folder=folder, disc=disc, told=told)
                for disc in range(1, bundle.manifest.discs + 1)
            ]
            if row.facts.get("images") == images:
                return row
            facts = {"images": images}
            if row.state == terms.PLANNED:
                return self._enter(actor, row, terms.BUILD, facts=facts)
            return self._enter(actor, row, terms.LIST, facts=facts)

    def _bundle(self, actor: Actor, row: MatterRow) -> tuple[MatterRow, DiscBundle]:
        shelf = self._parts.shelf
        if row.facts.get("bundle_sha256"):
            return row, shelf.bundle(row.number, str(row.facts["bundle_sha256"]))
        now = self._parts.clock.now().wall
        with self._parts.catalogue.read() as uow:
            wanted = [RecordingId(link.target) for link in uow.matters.links(row.id, role=terms.FOOTAGE)]
            rows = [uow.recordings.get(recording) for recording in wanted]
            units = {unit.id: unit.name for unit in uow.people.units()}
        plan = plan_of(rows, medium=str(row.facts["medium"]))
        plan.require_whole()
        unit = units.get(row.unit, self._parts.unit_name) if row.unit is not None else self._parts.unit_name
        facts = SetFacts(
            number=row.number, unit=unit, producer=actor.name, produced_at=to_text(now), title=str(row.words.get("title", "")),
            case_number=str(row.words.get("case_number", "")), medium=str(row.facts["medium"]),
            ground=str(row.words.get("ground", "")),
        )  # fmt: skip
        proofs = {str(recording): self._parts.proof(actor, recording) for recording in wanted}
        bundle = make_bundle(facts, plan, proofs=proofs, common=self._parts.common())
        digest = shelf.keep(actor, row.id, row.number, role=terms.BUNDLE, data=bundle.to_bytes())
        manifest = bundle.manifest
        entered = self._enter(
            actor, row, terms.LIST, words={"producer": actor.name, "unit_name": unit},
            facts={
                "manifest_sha256": manifest.digest().hex, "bundle_sha256": digest, "produced_at": facts.produced_at,
                "discs": manifest.discs,
            },
        )  # fmt: skip
        return entered, bundle

    def _image(
        self, actor: Actor, row: MatterRow, bundle: DiscBundle, *, folder: Path, disc: int, told: Told
    ) -> dict[str, str]:
        image = made_image(folder, disc)
        if image is None or image.manifest_sha256 != bundle.manifest.digest().hex:
            with contextlib.ExitStack() as stack:
                content = DiscContent(
                    manifest=bundle.manifest, disc=disc, files=self._files(bundle, folder, disc, stack)
                )
                image = make_image(
                    folder, content, sectors_max=medium_kind(str(row.facts["medium"])).sectors, told=told,
                    error_correction=bool(row.facts.get("error_correction")),
                )  # fmt: skip
        record = self._parts.shelf.keep(actor, row.id, row.number, role=terms.RECORD, data=image.to_bytes())
        return {
            "disc": str(disc), "sha256": image.sha256, "sectors": str(image.sectors), "record_sha256": record,
            "volume": image.volume,
        }  # fmt: skip

    def _files(self, bundle: DiscBundle, folder: Path, disc: int, stack: contextlib.ExitStack) -> dict[str, Path]:
        files: dict[str, Path] = {}
        primary = self._parts.shelf.stores.primary
        with self._parts.catalogue.read() as uow:
            rows = {one.path: uow.recordings.get(RecordingId(one.key)) for one in recordings_of(disc, bundle.manifest)}
        for one in bundle.manifest.on(disc):
            if one.path in bundle.small:
                files[one.path] = folder / "small" / one.sha256
                publish_new(files[one.path], bundle.small[one.path])
                continue
            sha256 = rows[one.path].sha256
            if sha256 is None:
                raise PolicyUnmetError(f"{one.key} is not stored any more", kept="Nothing was made.")
            files[one.path] = stack.enter_context(primary.plain_file(sha256))
        return files

    # --- burning ------------------------------------------------------------------------------------------------------
    def burn(
        self, actor: Actor, matter: MatterId, *, disc: int, copy: str, drive: Drive, told: Told = untold
    ) -> MatterRow:
        """Burn one disc of a set. The disc has its number before the first byte is written.

        Returns:
            The disc's matter; it is no copy before :meth:`verify` has read it.

        Raises:
            StateConflictError: There is a good disc in this place already. DiscDriveError, DiscMediumError: nothing was
            written. DiscError: the disc is spoilt, and entered as such.
        """
        row = self._asked(actor, matter, terms.DISC_SET, f"burn {disc}{copy}")
        if (disc, copy) not in places_of(row):
            raise InvalidInputError(f"{row.number} has no disc {disc} {copy[:8]!r}", todo="See `liuhen disc status`.")
        with self._parts.shelf.held(row.number) as folder:
            self._require_free_place(actor, row, disc, copy)
            image = made_image(folder, disc)
            listed = self._listed(row, disc)
            if image is None or listed is None or image.sha256 != listed["sha256"]:
                raise DiscError(f"the image of disc {disc} is not there", todo="Run `liuhen disc build` first.")
            capacity = medium_kind(str(row.facts["medium"])).sectors if drive.is_file else None
            medium = dry_check(drive, image, capacity_sectors=capacity)
            begun = self._open(actor, row, image, copy=copy, record=listed["record_sha256"], medium=medium)
            try:
                burn(folder, image, drive, capacity_sectors=capacity, told=told)
            except (DiscDriveError, DiscMediumError, DiscError) as error:
                self._enter(actor, begun, terms.SPOIL, words={"trouble": error.what[:180]})
                raise
            return self._enter(actor, begun, terms.FINISH, facts={"burnt_at": to_text(self._parts.clock.now().wall)})

    def _require_free_place(self, actor: Actor, row: MatterRow, disc: int, copy: str) -> None:
        with self._parts.catalogue.read() as uow:
            known = [one for one in discs_of(uow, row.id) if place_of(one) == (disc, copy)]
        for one in known:
            if one.state == terms.BURNING:  # nobody else burns: the folder of the set is ours
                self._enter(actor, one, terms.SPOIL, words={"trouble": "the work was cut off while it was burnt"})
        good = held(known, (*terms.GOOD, terms.BURNT))
        if good:
            numbers = ", ".join(one.number for one in known if one.state in (*terms.GOOD, terms.BURNT))
            raise StateConflictError(
                f"disc {disc} {copy} of {row.number} is there: {numbers}", kept="Nothing was written.",
                todo="Report it as lost or check it, if it is to be replaced.",
            )  # fmt: skip

    def _open(
        self, actor: Actor, row: MatterRow, image: DiscImage, *, copy: str, record: str, medium: Medium
    ) -> MatterRow:
        told = {"kind": medium.kind, "product": medium.product, "drive": medium.drive}
        asked = Asked(
            facts={
                "disc": image.disc, "discs": image.discs, "copy": copy, "image_sha256": image.sha256,
                "manifest_sha256": image.manifest_sha256, "record_sha256": record, "sectors": image.sectors,
                "medium": [{name: text for name, text in told.items() if text}],
            },
            words={"title": row.words.get("title", "")},
            links=[NewLink(role=terms.OF_SET, target=row.id)],
        )  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            return self._parts.desk.open_within(uow, terms.DISC, asked, actor=actor, unit=row.unit)

    @staticmethod
    def _listed(row: MatterRow, disc: int) -> dict[str, str] | None:
        return next((one for one in row.facts.get("images", ()) if one["disc"] == str(disc)), None)

    # --- reading back -------------------------------------------------------------------------------------------------
    def verify(self, actor: Actor, matter: MatterId, *, drive: Drive, told: Told = untold) -> Checked:
        """Read every sector of a disc and enter what was found.

        The first time it makes the disc a copy, later it is the yearly look. A bad result is entered as damage with the files
        it hits.

        Raises:
            DiscMediumError: Another disc is in the drive; nothing was entered. DiscDriveError: no drive or no disc.
        """
        row = self._asked(actor, matter, terms.DISC, "verify")
        if row.state not in (terms.BURNT, terms.DAMAGED, *terms.GOOD):
            raise StateConflictError(
                f"{row.number} stands at {row.state!r}: it cannot be checked", kept="Nothing was entered."
            )
        owner = self._set_of(row)
        good, read = self._read(row, owner, drive, told)
        now = self._parts.clock.now().wall
        facts: dict[str, Any] = {
            "read_at": to_text(now), "read_sha256": read.sha256, "read_sectors": read.sectors,
            "unreadable": sum(count for _, count in read.unreadable), "damage": damage_of(read) if not good else None,
            "next_check": str(add_months(local_date(now), self._parts.look_every_months)) if good else None,
        }  # fmt: skip
        first = terms.READ_GOOD if row.state not in terms.GOOD else f"{terms.READ_GOOD}-again"
        act = first if good else terms.READ_BAD
        return Checked(self._enter(actor, row, act, facts=facts), good, read)

    def _read(self, row: MatterRow, owner: MatterRow, drive: Drive, told: Told) -> tuple[bool, ReadBack]:
        drive.require_ordinary_file(new=False)
        try:
            record = self._parts.shelf.record(owner.number, str(row.facts["record_sha256"]))
        except DiscError:
            record = None
        if record is not None:
            there = volume_of(drive.path)
            if there and there != record.volume:
                raise DiscMediumError(
                    f"another disc is in the drive: {there}, wanted {record.volume}", kept="Nothing was entered.",
                    todo=f"Lay in {row.number}.",
                )  # fmt: skip
            checked: DiscCheck = check_disc(drive, record, told=told)
            return checked.good, checked.read
        alone = check_by_itself(drive, told=told)
        if alone.manifest_sha256 != row.facts["manifest_sha256"] or alone.disc != row.facts["disc"]:
            raise DiscMediumError(
                "another disc is in the drive", kept="Nothing was entered.", todo=f"Lay in {row.number}."
            )
        return alone.good, alone.read

    def restore(self, actor: Actor, matter: MatterId, *, drive: Drive, told: Told = untold) -> MatterRow:
        """Take the image of a disc from a sound copy, so that the other copy can be burnt again; the copy is read in full.

        Returns:
            The set.

        Raises:
            DiscDamagedError: This copy is not sound either: nothing was kept.
        """
        row = self._asked(actor, matter, terms.DISC, "restore")
        owner = self._set_of(row)
        record = self._parts.shelf.record(owner.number, str(row.facts["record_sha256"]))
        drive.require_ordinary_file(new=False)
        with self._parts.shelf.held(owner.number) as folder:
            target, made = image_path(folder, record.disc), made_image(folder, record.disc)
            if made is not None and made.sha256 == record.sha256:
                return owner
            make_dirs(folder)
            part = folder / f"disc-{record.disc:03d}.taken"
            with part.open("wb") as out:
                checked = check_disc(drive, record, told=told, sink=lambda data: write_all(out.fileno(), data))
                fsync_file(out.fileno())
            if not checked.good:
                part.unlink()
                raise DiscDamagedError(
                    f"{row.number} is damaged too: nothing was taken from it", kept="The stores keep the footage.",
                    todo="Make the images again with `liuhen disc build`.",
                )  # fmt: skip
            _take_place(part, target)
            publish_new(record_path(folder, record.disc), record.to_bytes())
        return owner

    # --- helpers ------------------------------------------------------------------------------------------------------
    def tidy(self, matter: MatterId) -> bool:
        """Remove the images of a set that is registered or closed; tells whether it did."""
        with self._parts.catalogue.read() as uow:
            row = uow.matters.get(matter)
        if row.state not in (terms.REGISTERED, terms.MIGRATED, terms.WITHDRAWN):
            return False
        if not self._parts.shelf.of(row.number).is_dir():
            return False
        with self._parts.shelf.held(row.number):
            self._parts.shelf.clear(row.number, int(row.facts.get("discs") or 0))
        return True

    def _asked(self, actor: Actor, matter: MatterId, kind: str, what: str) -> MatterRow:
        with self._parts.catalogue.read() as uow:
            row = uow.matters.get(matter)
        if row.kind != kind:
            raise InvalidInputError(f"{row.number} is no {kind}")
        scope = ObjectScope(unit=row.unit, officer=row.opened_by)
        self._parts.authoriser.require(actor, Action.DISC_MAKE, scope, detail=f"{kind}.{what} {row.number}")
        return row

    def _set_of(self, row: MatterRow) -> MatterRow:
        with self._parts.catalogue.read() as uow:
            (link,) = uow.matters.links(row.id, role=terms.OF_SET)
            return uow.matters.get(MatterId(link.target))

    def _enter(
        self, actor: Actor, row: MatterRow, act: str, *, facts: dict[str, Any] | None = None,
        words: dict[str, Any] | None = None,
    ) -> MatterRow:  # fmt: skip
        asked = Asked(facts=facts or {}, words=words or {})
        with self._parts.catalogue.begin() as uow:
            return self._parts.desk.act_within(uow, row.id, act, asked, actor=actor)


def damage_of(read: ReadBack) -> list[dict[str, str]]:
    """What is damaged, as the entry tells it: paths hold original names, so files are told by their running number."""
    rows = []
    for one in read.damaged[:_DAMAGE_ROWS_MAX]:
        places = "; ".join(f"{low}-{high}" for low, high in one.places[:8])
        rows.append(
            {"file": one.path.rpartition("/")[2].partition("_")[0], "outcome": one.outcome.value, "bytes": places}
        )
    if not rows:
        ranges = (*read.unreadable, *read.wrong)
        rows = [{"sectors": f"{start}-{start + count}", "outcome": "outside of files"} for start, count in ranges[:8]]
    return rows or [{"outcome": "the digest of the whole differs"}]


def _take_place(part: Path, target: Path) -> None:
    part.chmod(0o440)
    target.unlink(missing_ok=True)
    link_new(part, target)
    part.unlink()
