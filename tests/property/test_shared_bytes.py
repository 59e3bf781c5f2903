"""Random histories of shared bytes: the live rows, the projection of the log and a rebuild from it tell the same.

Derivatives share bytes on purpose: two posters of black footage are the same file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from assurance.copies import KeepingParts, copy_facts, say_copy
from assurance.projection import project, timeline_events
from assurance.rebuild import _write_blob
from assurance.references import enter_copy_removed, facts_of
from catalogue import Catalogue
from evidence.clock import to_text
from evidence.digest import sha256_of
from evidence.events import RecordingAcquired, RecordingDiscovered, RecordingDuplicate, RecordingStored
from evidence.model import RecordingState
from support.catalogue_rows import T0, recording
from support.kept_bytes import KeptBytes
from support.stores import local_store

BYTES = [b"one" * 50, b"two" * 50, b"three" * 50]


class SharedBytes(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.catalogue = Catalogue.open(f"sqlite:///{root}/app.db", migrate=True)
        self.rebuilt = Catalogue.open(f"sqlite:///{root}/rebuilt.db", migrate=True)
        from support.custody import TickingClock

        clock = TickingClock()
        self.third = local_store(root / "third", "third", clock=clock)
        self.kept = KeptBytes(root, self.catalogue, clock, others=[self.third])
        self.rows, self.holders, self.count = [], [], 0
        self.keeping = KeepingParts(
            catalogue=self.catalogue, recorder=self.kept.recorder, clock=clock, stores=self.kept.stores.all
        )

    def teardown(self) -> None:
        if hasattr(self, "catalogue"):
            self.catalogue.close()
            self.rebuilt.close()
            self.folder.cleanup()

    def _enter(self, uow, event) -> None:
        self.kept.recorder.record(uow.outbox, event, at=self.kept.clock.now())

    @rule()
    def a_recording_is_stored(self) -> None:
        self.count += 1
        data, manifest = b"footage %d" % self.count, b"manifest %d" % self.count
        at = to_text(T0)
        row = recording(self.kept.bureau, name=f"{self.count}.mp4", state=RecordingState.STORED, sha256=sha256_of(data))
        with self.catalogue.begin() as uow:
            uow.recordings.add(row)
            self._enter(uow, RecordingDiscovered(
                recording=row.id, device=row.device, offload=row.offload, kind=row.kind, pattern="", size_bytes=len(data),
                important=False, counter=-1, attached_to="", officer="", officer_source="", officer_confidence="", unit="",
                started_at="", started_source="", deadline_at="", at=at, name=row.name, path="/x", storage="", mtime_raw="",
            ))  # fmt: skip
            self._enter(uow, RecordingAcquired(
                recording=row.id, offload=row.offload, sha256=sha256_of(data).hex, sm3=sha256_of(data).hex,
                blake3="", size_bytes=len(data), started_at="", started_source="", deadline_at="", at=at,
            ))  # fmt: skip
        copies = {}
        for content, holder in ((data, f"recording:{row.id}"), (manifest, f"manifest:{row.id}")):
            sha256, made = self.kept.put(content, into=["primary", "second"])
            copies[holder] = facts_of(made)
            with self.catalogue.begin() as uow:
                uow.blobs.add_holder(sha256, len(content), None, holder)
                for copy in made:
                    uow.blobs.put_copy(sha256, copy)
            self.holders.append((sha256, holder))
        with self.catalogue.begin() as uow:
            self._enter(uow, RecordingStored(
                recording=row.id, sha256=sha256_of(data).hex, size_bytes=len(data),
                manifest_sha256=sha256_of(manifest).hex, copies=copies[f"recording:{row.id}"],
                manifest_copies=copies[f"manifest:{row.id}"], at=at,
            ))  # fmt: skip
        self.rows.append(row)

    @precondition(lambda self: self.rows)
    @rule(pick=st.integers(0, 99), data=st.sampled_from(BYTES))
    def a_derivative_is_made(self, pick: int, data: bytes) -> None:
        holder = self.kept.derivative(self.rows[pick % len(self.rows)], data)
        self.holders.append((sha256_of(data), holder))

    @precondition(lambda self: self.rows)
    @rule(pick=st.integers(0, 99))
    def a_duplicate_joins(self, pick: int) -> None:
        """It has no bytes of its own: nothing about blobs changes."""
        of = self.rows[pick % len(self.rows)]
        twin = recording(
            self.kept.bureau,
            name=f"twin of {of.name}",
            state=RecordingState.DUPLICATE,
            duplicate_of=of.id,
            sha256=of.sha256,
        )
        with self.catalogue.begin() as uow:
            uow.recordings.add(twin)
            self._enter(uow, RecordingDuplicate(
                recording=twin.id, sha256=of.sha256.hex, of=of.id, at=to_text(T0), important=False, name="t", path="/t"
            ))  # fmt: skip

    @precondition(lambda self: self.holders)
    @rule(pick=st.integers(0, 99), store=st.sampled_from(["primary", "second", "third"]))
    def a_copy_is_made(self, pick: int, store: str) -> None:
        sha256, _ = self.holders[pick % len(self.holders)]
        with self.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        source = next((one.store for one in blob.copies if self.kept.stores.named(one.store).exists(sha256)), None)
        if source is None:
            return
        with self.kept.stores.named(source).open(sha256) as stream:
            self.kept.put(stream.read(), into=[store])
        at = self.kept.clock.now()
        copy = copy_facts(self.kept.stores.named(store), sha256, at)
        with self.catalogue.begin() as uow:
            say_copy(self.keeping, uow, uow.blobs.get(sha256), copy, reason="migration", at=at)

    @precondition(lambda self: self.holders)
    @rule(pick=st.integers(0, 99), store=st.sampled_from(["second", "third"]))
    def a_copy_is_given_up(self, pick: int, store: str) -> None:
        sha256, _ = self.holders[pick % len(self.holders)]
        with self.catalogue.begin() as uow:
            blob = uow.blobs.get(sha256)
            copy = next((one for one in blob.copies if one.store == store), None)
            if copy is not None:
                at = self.kept.clock.now()
                enter_copy_removed(uow, self.kept.recorder, blob, copy, reason="store-given-up-bytes-left", at=at)

    @precondition(lambda self: any(holder.startswith("derivative:") for _, holder in self.holders))
    @rule(pick=st.integers(0, 99))
    def a_derivative_is_let_go(self, pick: int) -> None:
        mine = [one for one in self.holders if one[1].startswith("derivative:")]
        sha256, holder = mine[pick % len(mine)]
        self.kept.remover.release(sha256, holder, reason="made-anew")
        self.holders.remove((sha256, holder))
        with self.catalogue.read() as uow:
            assert (uow.blobs.get(sha256) is None) == all(one != sha256 for one, _ in self.holders)

    @invariant()
    def live_projected_and_rebuilt_are_the_same(self) -> None:
        if not hasattr(self, "catalogue"):
            return
        live, told, derivatives = set(), set(), True
        rebuilt = self.rebuilt
        with rebuilt.begin() as uow:
            for blob in list(uow.blobs.all()):
                uow.references.drop_blob(blob.sha256)
        with self.catalogue.read() as uow, rebuilt.begin() as target:
            for blob in uow.blobs.all():
                live |= {(blob.sha256, holder, _places(blob.copies)) for holder in blob.holders}
            for row in self.rows:
                found = project(timeline_events(uow.timeline(row.id)))
                derivatives &= {one.id for one in found.derivatives} == {one.id for one in uow.derivatives.of(row.id)}
                told |= {(blob.sha256, blob.holder) for blob in found.blobs}
                for blob in found.blobs:
                    _write_blob(target, blob, blob.size_bytes or 0)
        with rebuilt.read() as uow:
            again = {(blob.sha256, holder, _places(blob.copies)) for blob in uow.blobs.all() for holder in blob.holders}
        assert told == {(sha256, holder) for sha256, holder, _ in live}
        assert again == live
        assert derivatives


def _places(copies) -> tuple[tuple[str, str, str], ...]:
    return tuple((copy.store, copy.key, copy.version) for copy in copies)


TestSharedBytes = SharedBytes.TestCase
TestSharedBytes.settings = settings(
    max_examples=6, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
