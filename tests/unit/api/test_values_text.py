"""Measured values of the system page as people read them."""

from __future__ import annotations

from api.web.words import values_text


def test_moments_are_told_in_bureau_time_with_its_zone() -> None:
    values = {"counted": "2026-11-26T23:06:06.719Z", "backup_at": "2026-11-26T23:06:06+00:00", "copies": 39}
    assert values_text(values, "zh-CN") == (
        "盘点时间: 2026-11-27 07:06:06 +08:00 · 最新备份: 2026-11-27 07:06:06 +08:00 · 副本数: 39"
    )


def test_what_only_looks_like_a_moment_stays_as_it_is() -> None:
    assert values_text({"path": "/a/2026-11-26T23:06:06Z"}, "en") == "path: /a/2026-11-26T23:06:06Z"


def test_the_size_of_a_backup_is_not_told_as_entries() -> None:
    assert values_text({"size_bytes": 3_400_000}, "en") == "Size: 3.4 MB"
    assert values_text({"size": 843}, "en") == "entries: 843"
