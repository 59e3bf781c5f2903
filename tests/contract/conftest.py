"""Shared by the tests on real buckets."""

from __future__ import annotations

import pytest

from evidence.clock import SystemClock
from storage.s3 import S3Store
from storage.s3_client import S3Settings
from support.stores import SUITE


@pytest.fixture
def make_store():
    """Opens stores on buckets; closes them at the end."""
    made = []

    def make(settings: S3Settings) -> S3Store:
        made.append(S3Store(settings, name="bucket", suite=SUITE, clock=SystemClock()))
        return made[-1]

    yield make
    for store in made:
        store.close()
