"""Bytes that are being brought in are not removed below one's hands.

Said before the first look at a store: what stands there already would otherwise count as ours while it is being removed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from evidence.digest import Digest
from ingest.parts import Parts

#: Longer than any transfer; every try begins with a claim of its own.
CLAIMED_FOR: Final = timedelta(hours=24)


def claim(parts: Parts, sha256: Digest, *, duration: timedelta = CLAIMED_FOR) -> None:
    """Keep these bytes from being removed while they are stored, or while a recorder is cleared of them. Durable on return.

    Raises:
        BytesGoError: They are being removed right now: come again, they are then stored anew.
    """
    now = parts.clock.now().wall
    with parts.catalogue.begin() as uow:
        uow.references.claim(sha256, until=now + duration)
