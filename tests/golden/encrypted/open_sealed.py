"""Open one encrypted object with what docs/formats/store.md tells, and nothing of the service. Needs only `cryptography`.

usage: open_sealed.py STORE MASTER_FILE PLAIN_SHA256 [PASSPHRASE_FILE] > object
"""

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap


def main(store, master_file, sha256, passphrase_file=None):
    b64, store = base64.b64decode, Path(store)
    kept = json.loads(Path(master_file).read_bytes())
    master = b64(kept["key"])
    if kept["kdf"] == "scrypt":
        scrypt = Scrypt(salt=b64(kept["salt"]), length=32, n=kept["n"], r=kept["r"], p=kept["p"])
        master = aes_key_unwrap(scrypt.derive(Path(passphrase_file).read_bytes().rstrip(b"\n")), master)
    check = hashlib.sha256(b"liuhen master key check value").digest()
    master_id = hashlib.sha256(aes_key_wrap(master, check)).hexdigest()[:16]
    record = json.loads((store / f"keyring/objects/{sha256[:2]}/{sha256}.json").read_bytes())
    epoch = json.loads((store / f"keyring/epochs/{record['epoch']}/{master_id}.json").read_bytes())
    key = aes_key_unwrap(aes_key_unwrap(master, b64(epoch["wrapped"])), b64(record["wrapped"]))
    name = record["cipher_sha256"]
    sealed = (store / f"objects/sha256/{name[:2]}/{name[2:4]}/{name}").read_bytes()
    header, body, cipher = sealed[:64], sealed[64:], AESGCM(key)
    magic, chunk_bytes, _, prefix, rest = struct.unpack(">16sI16s7s21s", header)
    assert (magic, rest, header) == (b"liuhen_sealed_1\n", bytes(21), b64(record["header"]))
    chunks = [body[at : at + chunk_bytes + 16] for at in range(0, len(body), chunk_bytes + 16)]
    nonces = [prefix + struct.pack(">IB", index, index == len(chunks) - 1) for index in range(len(chunks))]
    plain = b"".join(cipher.decrypt(nonce, chunk, header) for nonce, chunk in zip(nonces, chunks, strict=True))
    assert hashlib.sha256(plain).hexdigest() == sha256
    sys.stdout.buffer.write(plain)


main(*sys.argv[1:])
