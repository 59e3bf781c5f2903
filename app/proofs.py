"""Proof bundles for outsiders, handed out by name and entered."""

from __future__ import annotations

from pathlib import Path

from access import Gate
from catalogue import Catalogue
from chain_of_custody import NoteVerifier
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from evidence.errors import PolicyUnmetError
from evidence.ids import RecordingId
from evidence.model import Action, Actor, ObjectScope


class ProofDesk:
    """Makes a recording's proof bundle from the published log.

    Args:
        catalogue: Which entry states the recording's storage.
        gate: Asked and entered.
        published: The primary published directory.
        verifier: The log's verifier key.
    """

    def __init__(self, catalogue: Catalogue, *, gate: Gate, published: Path, verifier: NoteVerifier) -> None:
        self._catalogue = catalogue
        self._gate = gate
        self._reader = LogReader(published, verifier=verifier)

    def bundle(self, actor: Actor, recording: RecordingId) -> bytes:
        """The bundle of the entry that states storage.

        Raises:
            NotFoundError: Unknown recording. AccessDeniedError: not the actor's to see.
            PolicyUnmetError: No published checkpoint covers it yet.
        """
        with self._catalogue.read() as uow:
            row = uow.recordings.get(recording)
            if row.duplicate_of is not None:
                row = uow.recordings.get(row.duplicate_of)
        scope = ObjectScope(unit=row.unit, officer=row.officer, recording=row.id)
        sha256 = row.sha256.hex if row.sha256 else ""
        self._gate.allowed(actor, Action.RECORDING_SHOW, scope, detail="proof", sha256=sha256)
        if not row.sealed or row.stored_index is None:
            raise PolicyUnmetError(
                "the recording is not sealed yet", kept="Its bytes are kept.", todo="Try again in a moment."
            )
        return proof_for(self._reader, row.stored_index)
