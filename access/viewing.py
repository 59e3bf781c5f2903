"""One viewing is one entry, not one per request: signed viewing tokens and a memory of what was just entered.

A player asks for hundreds of byte ranges. The first opens a viewing (authorised, entered) and gets a token; the ranges that
follow carry it. The token is no right: every range is authorised again, the token only says that this viewing stands in the
log already. It ends after idle time, and then the next range opens (and enters) a new viewing.

The memory of idle times belongs to one process. A second process counts from the opening, so it may enter a viewing once
more; it can never enter one too few.

Source: docs/invariants.md 7; RULES R18.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from evidence import canonical
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError
from evidence.ids import AgentId, RecordingId

IDLE_MS: Final = 30 * 60 * 1000
ABSOLUTE_MS: Final = 12 * 3600 * 1000
_REMEMBERED_MAX: Final = 50_000
_TOKEN_CHARS_MAX: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """What one viewing may stream: a blob, its type and size, the grant it is a use of, and the token that names the viewing."""

    recording: RecordingId
    agent: AgentId
    kind: str
    sha256: Digest
    size_bytes: int
    media_type: str
    opened_ms: int
    grant: str = ""
    token: str = ""


def issue(viewing: Viewing, *, key: bytes) -> str:
    """The token of a viewing: its facts in hexadecimal and a MAC over them."""
    body = canonical.dumps(
        {
            "agent": viewing.agent,
            "grant": viewing.grant,
            "kind": viewing.kind,
            "media_type": viewing.media_type,
            "opened_ms": viewing.opened_ms,
            "recording": viewing.recording,
            "sha256": viewing.sha256.hex,
            "size_bytes": viewing.size_bytes,
        }
    )
    return f"{body.hex()}.{_mac(body, key)}"


def read(untrusted: str, *, key: bytes) -> Viewing | None:
    """The viewing a token names; None unless this service issued exactly that token."""
    body_hex, _, mac = untrusted.partition(".")
    if len(untrusted) > _TOKEN_CHARS_MAX or not mac.isascii():
        return None
    try:
        body = bytes.fromhex(body_hex)
    except ValueError:
        return None
    if not hmac.compare_digest(_mac(body, key), mac):
        return None
    try:
        facts = canonical.loads(body)
        return Viewing(
            recording=RecordingId(facts["recording"]),
            agent=AgentId(facts["agent"]),
            kind=facts["kind"],
            sha256=Digest(SHA256, facts["sha256"]),
            size_bytes=facts["size_bytes"],
            media_type=facts["media_type"],
            opened_ms=facts["opened_ms"],
            grant=facts["grant"],
            token=untrusted,
        )
    except (EvidenceError, KeyError, TypeError):  # another version's token with our key
        return None


class Recently:
    """Remembers when something was last seen, so that the same look is not entered at every refresh. Thread-safe."""

    def __init__(self, *, idle_ms: int = IDLE_MS) -> None:
        self._idle_ms = idle_ms
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()  # key -> when it began, when it was last seen
        self._guard = threading.Lock()

    def awake(self, key: str, *, now_ms: int, since_ms: int | None = None) -> bool:
        """Whether ``key`` was seen within the idle time (``since_ms`` counts as seen when nothing is remembered).

        However often it is seen, it sleeps at the latest 12 hours after it began. A clock that went back counts as asleep:
        then the look is entered again.
        """
        with self._guard:
            known = self._seen.get(key)
        if known is None:
            return since_ms is not None and 0 <= now_ms - since_ms < self._idle_ms
        return self._is_awake(known, now_ms)

    def seen(self, key: str, *, now_ms: int) -> None:
        """Note a look; forgets the oldest beyond a bound (they are merely entered again)."""
        with self._guard:
            known = self._seen.get(key)
            began_ms = known[0] if known is not None and self._is_awake(known, now_ms) else now_ms
            self._seen[key] = (began_ms, now_ms)
            self._seen.move_to_end(key)
            while len(self._seen) > _REMEMBERED_MAX:
                self._seen.popitem(last=False)

    def _is_awake(self, known: tuple[int, int], now_ms: int) -> bool:
        began_ms, last_ms = known
        return 0 <= now_ms - last_ms < self._idle_ms and now_ms - began_ms < ABSOLUTE_MS


def _mac(body: bytes, key: bytes) -> str:
    return hmac.new(key, b"liuhen viewing 1\n" + body, hashlib.sha256).hexdigest()
