"""Events about what the rules ask for: matters and their acts, documents filed, how a recording is classified, kept and cleared.

Read :mod:`evidence.events` first; these are event types like those there. Names that persons gave, words they wrote and who a
party is are personal; states, dates, numbers and identities are public.
"""

from __future__ import annotations

from dataclasses import dataclass

from evidence.event import Event, Json, personal


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterActed(Event):
    """Somebody opened a matter or acted on it (:mod:`matters`): the only way in which one ever changes.

    ``version`` counts the acts of a matter from 1. ``state`` and ``due`` are those after the
    act, ``final`` tells whether it is closed by it. ``facts`` are the public fields
    this act set. ``persons`` are ``{"op": "add"|"remove", "role", "agent"}``, ``links`` ``{"op", "role", "to", "key", ...}`` with
    public texts about the link. ``words`` are the personal fields this act set.
    """

    TYPE = "matter.acted"
    matter: str
    kind: str
    number: str
    act: str
    state: str
    final: bool
    version: int
    at: str
    unit: str = ""
    due: str = ""
    facts: dict[str, Json]
    persons: list[dict[str, str]]
    links: list[dict[str, str]]
    words: dict[str, Json] | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFiled(Event):
    """A document was stored for a matter: written once and read back like a recording; ``copies`` as in ``recording.stored``."""

    TYPE = "document.filed"
    document: str
    matter: str
    role: str
    blob_sha256: str
    size_bytes: int
    media_type: str
    copies: list[dict[str, str]]
    at: str
    name: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingClassified(Event):
    """What a recording is, as a person judged it: the later judgement counts.

    ``category`` is one of the schedule in force, empty to take a judgement back; ``item`` an entry of the bureau's list of what
    is to be recorded; ``basis`` a stable code: ``person``, ``bulk``, ``case``, ``import``.
    """

    TYPE = "recording.classified"
    category: str
    item: str
    basis: str
    at: str
    matter: str = ""
    words: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFlagged(Event):
    """A flag was put on a recording or lifted: ``complaint``, ``obstruction``, ``sensitive`` (R11) or ``long-term``.

    ``ground`` is a stable code; ``matter`` the approval a flag was lifted under.
    """

    TYPE = "recording.flagged"
    flag: str
    standing: bool
    ground: str
    at: str
    matter: str = ""
    words: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingArchived(Event):
    """A recording was filed: from here on its use needs consent and registration (R17).

    ``reason``: ``case``, ``working-material`` or ``time`` (24 hours after accession nobody had filed it).
    """

    TYPE = "recording.archived"
    reason: str
    at: str
    matter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDisposing(Event):
    """The point of no return: everything was looked at again in this transaction, and the bytes go from now on.

    ``mode`` is ``review`` or ``automatic``; ``list_sha256`` the digest of the frozen list the item was approved in.
    """

    TYPE = "recording.disposing"
    matter: str
    mode: str
    list_sha256: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDisposed(Event):
    """Lawfully cleared: the bytes and everything made of them are gone from every store and were looked for in vain.

    This is the tombstone (R10): it stays for ever and names no person beyond identities. ``facts`` repeats what it was.
    """

    TYPE = "recording.disposed"
    matter: str
    facts: dict[str, Json]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRetired(Event):
    """A recorder left the ledger for good: what it held was handed in or looked for; its number is never given again (R5)."""

    TYPE = "device.retired"
    device: str
    matter: str
    reason: str
    at: str
