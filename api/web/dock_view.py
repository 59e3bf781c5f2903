"""One dock card as the wall draws it and the API tells it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from api.web import marks, words
from api.web.i18n import translate
from api.web.marks import Mark
from catalogue.records import OffloadRow
from evidence.model import Action
from ingest.board import DockCard

_STATES: Final = {
    "seen": Mark(marks.BUSY, "clock", "Recognised, waiting its turn"),
    "unregistered": Mark(marks.WARN, "question", "Not registered: nothing is read"),
    "offloading": Mark(marks.BUSY, "arrow-down", "Offload running"),
    "securing": Mark(marks.BUSY, "clock", "Copied, being stored and sealed"),
    "sealed": Mark(marks.GOOD, "seal", "Everything sealed"),
    "interrupted": Mark(marks.WARN, "pause", "Interrupted"),
    "failed": Mark(marks.BAD, "stop", "Failed, will be tried again"),
}
_SEALED_BUT_WAITING: Final = Mark(marks.WARN, "clock", "Sealed; a file is still being written")
#: With less than this share free a recorder may be full within its next shift: the wall warns (it is never cleared unasked).
_NEARLY_FULL: Final = 0.2
_ERRORS: Final = {
    "device-gone": "The recorder was unplugged. What was read is kept; it goes on at the same byte.",
    "device-busy": "Another program or another recorder with the same serial number holds it.",
    "device-timeout": "The recorder did not answer in time.",
    "store-full": "A store is full: the recorder keeps its footage. Make room; reading goes on by itself.",
    "device-not-registered": "A person must register this recorder first.",
    "medium": "The recorder's card cannot be read in places.",
}


def slot_view(card: DockCard, language: str, offered: Collection[Action]) -> dict[str, Any]:
    """What the wall needs of one slot.

    Args:
        card: The slot.
        language: The page's language.
        offered: What the reader may do on at least something: no button leads to a refusal.
    """

    def say(message: str) -> str:
        return translate(message, language)

    mark = _STATES.get(card.state, marks.NOT_KNOWN)
    if card.state == "sealed" and card.offload is not None and card.offload.waiting:
        mark = _SEALED_BUT_WAITING
    driver = words.DRIVERS.get(card.docked.driver, card.docked.driver)
    device, offload, progress = card.device, card.offload, card.progress
    error = card.outcome.error if card.outcome is not None else ""
    return {
        "slot": card.docked.slot,
        "port": place_of(card.docked.slot),
        "driver": card.docked.driver,
        "title": (device.label or device.serial) if device else place_of(card.docked.slot),
        "model": f"{device.vendor} {device.model}".strip() if device else say(driver),
        "officer": card.officer_name,
        "state": {"code": card.state, "tone": mark.tone, "icon": mark.icon, "word": say(mark.word)},
        "message": why(error, card.outcome.full if card.outcome else (), say),
        "battery_percent": offload.battery_percent if offload else None,
        "clock_offset_ms": offload.clock_offset_ms if offload and offload.clock_known else None,
        "free_bytes": offload.free_bytes if offload else None,
        "nearly_full": offload is not None and _nearly_full(offload),
        "waiting": list(offload.waiting) if offload else [],
        "sealed": card.sealed,
        "total": card.total,
        "progress": None
        if progress is None
        else {
            "bytes_done": progress.bytes_done,
            "bytes_total": progress.bytes_total,
            "files_done": progress.files_done,
            "files_total": progress.files_total,
            "rate_bytes_s": progress.rate_bytes_s,
        },
        # A green "yes" beside a recorder nobody has read would send an officer home with the footage still on it.
        "may_unplug": "unknown" if card.state == "unregistered" else card.may_unplug,
        "action": _action(card, offered, say),
    }


def why(error: str, full: Sequence[str], say: Callable[[str], str]) -> str:
    """Why an offload stopped and what to do, and which stores are full where that is why; empty where nothing stopped it.

    Args:
        error: Stable code.
        full: Stores without room.
        say: Translates.
    """
    if not error:
        return ""
    told = say(_ERRORS.get(error) or words.ERRORS.get(error, error))
    return f"{told} ({', '.join(full)})" if full else told


def place_of(slot: str) -> str:
    """Where a recorder sits, for people: a folder's name, for its whole path is of no use at the dock."""
    return slot.rstrip("/").rpartition("/")[2] or slot


def _nearly_full(offload: OffloadRow) -> bool:
    """Whether it was when it was docked; a recorder that does not tell its size is not judged."""
    free, whole = offload.free_bytes, offload.capacity_bytes
    return free is not None and whole is not None and free < whole * _NEARLY_FULL


def _action(card: DockCard, offered: Collection[Action], say: Callable[[str], str]) -> dict[str, Any] | None:
    if card.state == "unregistered" and Action.DEVICE_REGISTER in offered:
        # Whose recorder it is, and of which unit, decides who will see its footage: that page asks.
        return {"href": "/devices", "word": say("Register"), "method": "get", "fields": {}}
    if card.state in {"failed", "interrupted"} and Action.OFFLOAD_RUN in offered:
        slot = {"slot": card.docked.slot}
        return {"href": "/docks/retry", "word": say("Try again now"), "method": "post", "fields": slot}
    return None
