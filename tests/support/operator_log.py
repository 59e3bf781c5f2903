"""A log operator with every key in hand and no scruples: writes correctly signed logs with whatever content a test wants.

A third writer of the formats, made from the documents, so that the verifier is tested against cases our own recorder and
sealer refuse to write. Test use only; entries are small and keys come from fixed seeds.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
EMPTY = hashlib.sha256(b"").hexdigest()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def seed_key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def key_id(key: Ed25519PrivateKey) -> str:
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def vkey_of(key: Ed25519PrivateKey, origin: str) -> str:
    material = b"\x01" + key.public_key().public_bytes_raw()
    hint = hashlib.sha256(origin.encode() + b"\n" + material).hexdigest()[:8]
    return f"{origin}+{hint}+{b64(material)}"


def sign_note(key: Ed25519PrivateKey, origin: str, text: str) -> bytes:
    hint = bytes.fromhex(vkey_of(key, origin).split("+")[1])
    return f"{text}\n— {origin} {b64(hint + key.sign(text.encode()))}\n".encode()


def tree_root(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + tree_root(hashes[:split]) + tree_root(hashes[split:])).digest()


def inclusion_path(hashes: list[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    if index < split:
        return [*inclusion_path(hashes[:split], index), tree_root(hashes[split:])]
    return [*inclusion_path(hashes[split:], index - split), tree_root(hashes[:split])]


def tile_path(kind: str, number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(["tile", kind, *reversed(groups)])


def flip(path: Path, position: int, mask: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= mask
    path.write_bytes(bytes(content))


def disclosure(name: str, value: object) -> tuple[str, str]:
    text = base64.urlsafe_b64encode(canonical(["c2FsdHNhbHRzYWx0c2E", name, value])).decode().rstrip("=")
    return text, base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@dataclass
class OperatorLog:
    """Entries in memory; ``publish`` writes them as a log, ``proof`` makes a proof file."""

    origin: str = "liuhen.example/log"
    station: Ed25519PrivateKey = field(default_factory=lambda: seed_key("station"))
    log_key: Ed25519PrivateKey = field(default_factory=lambda: seed_key("log"))
    entries: list[bytes] = field(default_factory=list)
    turns: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def vkey(self) -> str:
        return vkey_of(self.log_key, self.origin)

    def opened(self) -> OperatorLog:
        self.add("log.opened", {"origin": self.origin})
        self.add("key.added", self.key_data(self.station, "station"))
        self.add("key.added", self.key_data(self.log_key, "log"))
        return self

    @staticmethod
    def key_data(key: Ed25519PrivateKey, role: str) -> dict[str, Any]:
        raw = key.public_key().public_bytes_raw()
        return {"key_id": key_id(key), "role": role, "algorithm": "ed25519", "public_key": b64(raw)}

    def predicate(self, event: str, data: dict[str, Any], *, key: Ed25519PrivateKey | None = None) -> dict[str, Any]:
        signer = key_id(key or self.station)
        seq, prev = self.turns.get(signer, (0, ""))
        number = len(self.entries)
        return {
            "schema": 1,
            "entry": f"ent_{number:012x}7000800000000000000{number % 10:01d}"[:36],
            "event": event,
            "time": f"2026-11-22T13:{number // 60 % 60:02d}:{number % 60:02d}.120Z"
            if number < 3600
            else "2026-11-22T15:00:00.000Z",
            "time_source": "synchronised",
            "time_uncertainty_ms": 12,
            "station": "station-1",
            "signer": signer,
            "seq": seq,
            "prev": prev,
            "data": {"actor": "", "recording": "", "sha256": "", **data},
            "_sd_alg": "sha-256",
            "_sd": [],
        }

    def seal(self, predicate: dict[str, Any], *, key: Ed25519PrivateKey | None = None, **changes: Any) -> bytes:
        data = predicate["data"]
        named = bool(data["recording"] and data["sha256"])
        name = f"recording:{data['recording']}" if named else f"entry:{predicate['entry']}"
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": data["sha256"] or predicate["prev"] or EMPTY}}],
            "predicateType": "urn:liuhen:custody-event:1",
            "predicate": predicate,
            **changes,
        }
        return self.envelope(canonical(statement), key=key)

    def envelope(self, payload: bytes, *, key: Ed25519PrivateKey | None = None) -> bytes:
        key = key or self.station
        signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        signature = {"keyid": key_id(key), "sig": b64(key.sign(signed))}
        return canonical({"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})

    def add(self, event: str, data: dict[str, Any], *, key: Ed25519PrivateKey | None = None, **changes: Any) -> bytes:
        predicate = {**self.predicate(event, data, key=key), **changes}
        return self.append(self.seal(predicate, key=key), signer=predicate["signer"], seq=predicate["seq"])

    def append(self, envelope: bytes, *, signer: str, seq: int) -> bytes:
        self.entries.append(envelope)
        self.turns[signer] = (seq + 1, hashlib.sha256(envelope).hexdigest())
        return envelope

    def fill(self, size: int) -> OperatorLog:
        while len(self.entries) < size:
            self.add(
                "finding.raised", {"finding": f"number {len(self.entries)}", "kind": "test", "store": "", "at": ""}
            )
        return self

    def hashes(self, size: int | None = None) -> list[bytes]:
        return [hashlib.sha256(b"\x00" + entry).digest() for entry in self.entries[:size]]

    def checkpoint(self, size: int | None = None) -> bytes:
        hashes = self.hashes(size)
        return sign_note(self.log_key, self.origin, f"{self.origin}\n{len(hashes)}\n{b64(tree_root(hashes))}\n")

    def publish(self, directory: Path) -> Path:
        framed = [len(entry).to_bytes(2, "big") + entry for entry in self.entries]
        self._write(directory, "entries", framed)
        level, hashes = 0, self.hashes()
        while hashes:
            self._write(directory, str(level), hashes)
            full = len(hashes) // 256
            hashes, level = [tree_root(hashes[i * 256 : (i + 1) * 256]) for i in range(full)], level + 1
        (directory / "checkpoint").write_bytes(self.checkpoint())
        return directory

    @staticmethod
    def _write(directory: Path, kind: str, items: list[bytes]) -> None:
        for number in range((len(items) + 255) // 256):
            part = items[number * 256 : (number + 1) * 256]
            path = directory / tile_path(kind, number)
            if len(part) < 256:
                path = path.with_name(f"{path.name}.p") / str(len(part))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(part))

    def proof(self, index: int) -> bytes:
        lines = ["c2sp.org/tlog-proof@v1", f"extra {b64(self.entries[index])}", f"index {index}"]
        lines += [b64(step) for step in inclusion_path(self.hashes(), index)]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint()
