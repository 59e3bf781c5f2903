"""Makes tests/golden/encrypted again: one encrypted object with fixed keys, as a store keeps it. Run only for a new format.

cd tests && PYTHONPATH=..:. ../.venv/bin/python -m support.golden_encrypted
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from evidence import canonical
from evidence.clock import from_text
from evidence.data_keys import KeyRecord
from evidence.digest import SHA256, Digest, sha256_of
from storage import key_records, layout, master_keys
from storage.chunked import ChunkCipher, Header
from storage.sealing import seal_chunks

GOLDEN = Path(__file__).parents[1] / "golden" / "encrypted"
PASSPHRASE = b"the passphrase of the golden store"
MASTER = hashlib.sha256(b"golden master").digest()
EPOCH_KEY = hashlib.sha256(b"golden epoch").digest()
DATA_KEY = hashlib.sha256(b"golden data").digest()
AT = from_text("2026-11-26T22:00:00.000Z")


def plain(size_bytes: int = 10_000) -> bytes:
    """Bytes that anyone can make."""
    return bytes((7 * i + i // 256) % 256 for i in range(size_bytes))


def header(chunk_bytes: int = 4096) -> Header:
    """Small chunks, so that the object has several and the file stays small."""
    return Header(
        chunk_bytes, hashlib.sha256(b"golden object").digest()[:16], hashlib.sha256(b"golden nonce").digest()[:7]
    )


def sealed(data: bytes, head: Header) -> bytes:
    """The ciphertext."""
    return b"".join(
        bytes(part) for part in seal_chunks(ChunkCipher(DATA_KEY, head), iter([data]), plain_bytes=len(data))
    )


def record() -> KeyRecord:
    """The object's key record."""
    data, wrapped = sealed(plain(), header()), master_keys.wrap(EPOCH_KEY, DATA_KEY)
    return key_records.sealed(
        KeyRecord(
            sha256=sha256_of(plain()),
            cipher_sha256=Digest(SHA256, hashlib.sha256(data).hexdigest()),
            cipher_size_bytes=len(data),
            epoch="2026-11",
            header=header().to_bytes(),
            wrapped=wrapped,
            wrapped_sha256=hashlib.sha256(wrapped).hexdigest(),
            mac=b"",
            made_at=AT,
        ),
        DATA_KEY,
    )


def files() -> dict[str, bytes]:
    """Every file by its path below the golden folder."""
    salt = hashlib.sha256(b"golden salt").digest()[:16]
    under = Scrypt(salt=salt, length=32, n=1 << 14, r=8, p=1).derive(PASSPHRASE)
    master = master_keys.MemoryMaster(MASTER, kind="file")
    epoch = key_records.EpochFile(epoch="2026-11", master=master.id, wrapped=master.wrap(EPOCH_KEY), made_at=AT)
    kept = record()
    gone = kept.without_key(AT)
    text = {
        "format": "liuhen_master_1", "kdf": "scrypt", "n": 1 << 14, "r": 8, "p": 1,
        "salt": base64.b64encode(salt).decode(), "key": base64.b64encode(master_keys.wrap(under, MASTER)).decode(),
    }  # fmt: skip
    return {
        "master.json": canonical.dumps(text),
        "passphrase.txt": PASSPHRASE + b"\n",
        f"keyring/{key_records.epoch_path(epoch.epoch, master.id)}": epoch.text(),
        f"keyring/{key_records.record_path(kept.sha256)}": key_records.record_text(kept),
        "tombstone.json": key_records.gone_text(gone, DATA_KEY),
        layout.blob_key(kept.cipher_sha256): sealed(plain(), header()),
    }


if __name__ == "__main__":
    for path, content in files().items():
        target = GOLDEN / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
