"""A recording put into a bucket, against boto3's own upload of the same file to the same server with the same checksums."""

from __future__ import annotations

import hashlib
import secrets
import sys
from datetime import datetime, timedelta
from pathlib import Path

from bench_home import AS_SHIPPED
from boto3.s3.transfer import TransferConfig
from measure import MIB, Cost, Result, Sizes, costed, make_recording, rate, remember

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from evidence.clock import SystemClock
from evidence.digest import Digest
from storage.s3 import S3Store
from storage.s3_client import S3Settings, connect
from support import seaweed

_SIZE = 300 * MIB
_RUNS = 5


def bucket(place: Path, sizes: Sizes) -> list[Result]:
    """300 MiB in parts, locked: ours proves digest and lock and looks at what was written, the peer only sends."""
    del sizes
    recording = place / "bucket-recording"
    if not recording.is_file() or recording.stat().st_size != _SIZE:
        make_recording(recording, _SIZE)
    server, process = seaweed.start()
    try:
        return _compared(recording, server)
    finally:
        process.kill()
        process.wait()


def _compared(recording: Path, server: seaweed.Server) -> list[Result]:
    with recording.open("rb") as stream:
        digest = Digest("sha256", hashlib.file_digest(stream, "sha256").hexdigest())
    until = SystemClock().now().wall.replace(microsecond=0) + timedelta(days=1)
    ours, peer = [], []
    for _ in range(_RUNS):
        ours_s, peer_s = _in_turn(recording, server.settings(part_bytes=16 * MIB), digest, until)
        ours.append(ours_s)
        peer.append(peer_s)
    best, best_peer = min(cost.wall_s for cost in ours), min(cost.wall_s for cost in peer)
    cpu, cpu_peer = min(cost.cpu_s for cost in ours), min(cost.cpu_s for cost in peer)
    return [
        Result("bucket", "put of 300 MiB, locked / boto3 upload_file with SHA-256 checksums", best / best_peer, goal=1.15,
               at_least=False, note=f"{rate(_SIZE, best)} / {rate(_SIZE, best_peer)}"),
        Result("bucket", "the same in processor time of the client", cpu / cpu_peer, at_least=False,
               note=f"{cpu:.2f} s / {cpu_peer:.2f} s"),
    ]  # fmt: skip


def _in_turn(recording: Path, settings: S3Settings, digest: Digest, until: datetime) -> tuple[Cost, Cost]:
    """Both once, under a prefix of their own: the same bytes are new there."""
    store = S3Store(settings, name="bucket", suite=AS_SHIPPED, clock=SystemClock())
    client = connect(settings)
    try:
        store.ensure_bucket()
        remember(recording)
        peer = costed(lambda: _upload_file(client, settings, recording, until))
        remember(recording)
        return costed(lambda: _put(store, recording, digest, until)), peer
    finally:
        client.close()
        store.close()


def _put(store: S3Store, recording: Path, digest: Digest, until: datetime) -> None:
    with recording.open("rb") as source:
        if not store.put(source, sha256=digest, size_bytes=_SIZE, retain_until=until).created:
            raise SystemExit("the put did not do its work")


def _upload_file(client, settings: S3Settings, recording: Path, until: datetime) -> None:
    """As its makers ship it (parts of 8 MiB, ten at once), with the checksums and the lock that ours has."""
    lock = {"ObjectLockMode": settings.mode, "ObjectLockRetainUntilDate": until}
    client.upload_file(
        str(recording), settings.bucket, f"{settings.prefix}{secrets.token_hex(8)}",
        ExtraArgs={"ChecksumAlgorithm": "SHA256", **lock}, Config=TransferConfig(preferred_transfer_client="classic"),
    )  # fmt: skip
