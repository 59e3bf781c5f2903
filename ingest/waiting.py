"""Names that say a recorder is still writing, and how long they are believed.

Such a file waits for the next look. A recorder that lost its power while it recorded never takes the mark away: a file that
looks the same for longer than any recording lasts is taken in as it is and flagged, for else it would wait on the recorder
until somebody formats it.

What is remembered (since when each file has looked the same) is no evidence: lost, the file waits once more as long.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from catalogue import UnitOfWork
from evidence.clock import from_text, to_text
from evidence.errors import EvidenceError
from evidence.ids import DeviceId
from evidence.model import SourceKey

#: A recorder starts a new file long before this.
WRITING_AT_MOST: Final = timedelta(hours=8)


def still_written(uow: UnitOfWork, device: DeviceId, keys: Collection[SourceKey], *, now: datetime) -> set[SourceKey]:
    """Of the files whose name says so, those that are to be believed; remembers when each was first seen like this.

    Args:
        uow: The running transaction.
        device: The recorder.
        keys: Every file of its present listing whose name says that it is being written.
        now: Wall clock.
    """
    name = f"waiting:{device}"
    text = uow.settings.get(name)
    known = _parsed(text or "")
    since = {_text(key): min(known.get(_text(key), now), now) for key in keys}
    remembered = json.dumps({key: to_text(at) for key, at in sorted(since.items())}, ensure_ascii=False)
    if remembered != (text or "{}"):
        uow.settings.put(name, remembered)
    return {key for key in keys if now - since[_text(key)] < WRITING_AT_MOST}


def _text(key: SourceKey) -> str:
    return json.dumps([key.storage, key.path, key.size_bytes, key.mtime_raw], ensure_ascii=False)


def _parsed(text: str) -> Mapping[str, datetime]:
    try:
        return {key: from_text(at) for key, at in json.loads(text or "{}").items()}
    except (
        ValueError,
        AttributeError,
        TypeError,
        EvidenceError,
    ):  # ours alone; whatever is wrong with it, files wait anew
        return {}
