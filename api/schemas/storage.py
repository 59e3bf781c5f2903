"""The stores."""

from __future__ import annotations

from api.schemas.common import Answer, Moment


class StoreAnswer(Answer):
    """One store.

    ``stand`` is failing, damaged, behind, level or unknown. ``objects`` to ``oldest_checked_at`` were true at ``counted_at``.
    """

    store: str
    kind: str
    domain: str
    location: str
    protection: str
    old: bool
    stand: str
    bad_copies: int
    objects: int
    size_bytes: int
    behind_objects: int
    behind_bytes: int
    oldest_checked_at: Moment | None
    counted_at: Moment | None
    ok_at: Moment | None
    failing_since: Moment | None
    failed_at: Moment | None
    error_code: str
    error: str
    tries: int
    next_try_at: Moment | None


class StorageAnswer(Answer):
    """Every store, as it stands at ``as_of``."""

    stores: list[StoreAnswer]
    as_of: Moment
