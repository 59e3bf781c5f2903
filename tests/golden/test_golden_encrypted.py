"""The form of encrypted objects and their keys stands: fixed keys give these bytes, and the description suffices to open them."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from evidence.errors import IntegrityError
from storage import key_records
from storage.chunked import ChunkCipher, Header
from storage.master_keys import FileMaster
from support.golden_encrypted import DATA_KEY, GOLDEN, MASTER, PASSPHRASE, files, header, plain, record, sealed

#: One MiB and one byte in chunks of one MiB under the golden key: known once and for ever.
DEFAULT_CHUNKS_SHA256 = "f181d2caba450a775eaccc8f4799557dc327603f457b33dfdcfdd92f74341b74"


@pytest.mark.parametrize("path", sorted(files()))
def test_fixed_keys_give_the_golden_bytes(path):
    assert (GOLDEN / path).read_bytes() == files()[path]


def test_chunks_of_the_size_that_is_written_are_what_they_were():
    data = plain((1 << 20) + 1)
    assert hashlib.sha256(sealed(data, header(1 << 20))).hexdigest() == DEFAULT_CHUNKS_SHA256


def test_the_golden_files_open(tmp_path):
    key_file = tmp_path / "master.json"
    key_file.write_bytes((GOLDEN / "master.json").read_bytes())
    key_file.chmod(0o600)
    master = FileMaster(key_file, passphrase=PASSPHRASE)
    assert master.export() == MASTER
    kept = record()
    assert key_records.parse_record((GOLDEN / "keyring" / key_records.record_path(kept.sha256)).read_bytes()) == kept
    key_records.require_belongs(kept, DATA_KEY)
    tombstone = (GOLDEN / "tombstone.json").read_bytes()
    assert key_records.parse_gone(tombstone).wrapped_sha256 == kept.wrapped_sha256
    assert key_records.gone_is_proved(tombstone, DATA_KEY)
    assert not key_records.gone_is_proved(tombstone, bytes(32))
    with pytest.raises(IntegrityError):
        key_records.require_belongs(kept, bytes(32))
    assert ChunkCipher(DATA_KEY, Header.parse(kept.header)).header == header()


def test_the_description_suffices_to_open_an_object_without_this_program():
    done = subprocess.run(
        [sys.executable, "-I", GOLDEN / "open_sealed.py", GOLDEN, GOLDEN / "master.json", record().sha256.hex,
         GOLDEN / "passphrase.txt"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == plain()
    text = (GOLDEN / "open_sealed.py").read_text("utf-8")
    assert "storage" not in text.split("import", 1)[1].split("def main", 1)[0]
