"""Settings of intake refuse what would break a promise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evidence.errors import ConfigError
from evidence.model import ClearingMode
from ingest.settings import IngestSettings


def test_by_default_two_copies_in_two_failure_domains_and_no_clearing() -> None:
    settings = IngestSettings()
    assert (settings.copies, settings.domains_required, settings.clearing) == (2, 2, ClearingMode.NEVER)


def test_one_failure_domain_needs_explicit_consent() -> None:
    with pytest.raises(ConfigError, match=r"storage\.single_domain$"):
        IngestSettings(domains_required=1)
    assert IngestSettings(domains_required=1, single_domain_allowed=True).domains_required == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"copies": 0},
        {"domains_required": 0, "single_domain_allowed": True},
        {"secure_concurrency": 0},
        {"offload_concurrency": 0},
        {"free_floor_bytes": -1},
        {"hand_in_within": timedelta(0)},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        IngestSettings(**wrong)  # type: ignore[arg-type]
