"""The master key: wraps the month's keys, which wrap the data keys of objects. Who loses it has lost every encrypted object.

Three places it may live in: a file (under a passphrase, or bare with mode 0600), a credential that systemd hands to the service,
a token that never gives it out (:mod:`storage.master_pkcs11`). What it wraps is 32 bytes, by AES Key Wrap, which also proves that
the right key opened it.

Source: RFC 3394; RFC 7914 (scrypt); systemd.exec(5) "Credentials"; docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from evidence import canonical
from evidence.durable import make_dirs, publish_new
from evidence.errors import BlobConflictError, ConfigError, EntryInvalidError, KeyUnavailableError

KEY_BYTES: Final = 32
WRAPPED_BYTES: Final = 40
FORMAT: Final = "liuhen_master_1"
#: What a master wraps to tell who it is: two masters with one name would have to be one key.
_CHECK_VALUE: Final = hashlib.sha256(b"liuhen master key check value").digest()
KEY_FILE_BYTES_MAX: Final = 4096
_SALT_BYTES: Final = 16
#: 128 MiB and about half a second for each guess of a passphrase.
_SCRYPT_N: Final = 1 << 17
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
_SCRYPT_MEMORY_MAX: Final = 1 << 30
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class MasterKey(Protocol):
    """Wraps and unwraps 32-byte keys. Threads may share it."""

    @property
    def id(self) -> str:
        """Who it is: 16 hexadecimal digits, from what it wraps; says nothing of the key."""
        ...

    @property
    def kind(self) -> str:
        """``file``, ``systemd`` or ``pkcs11``."""
        ...

    def wrap(self, key: bytes) -> bytes:
        """40 bytes that only this master opens. KeyUnavailableError when it cannot be used."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key; KeyUnavailableError when another master wrapped it, or it was changed."""
        ...

    def export(self) -> bytes | None:
        """The master key itself, for a sealed backup; None where it cannot be taken out (a token's own backup must do)."""
        ...


class MemoryMaster:
    """A master key that this process holds.

    Args:
        key: 32 bytes.
        kind: Where it came from.

    Raises:
        KeyUnavailableError: Not 32 bytes.
    """

    def __init__(self, key: bytes, *, kind: str) -> None:
        if len(key) != KEY_BYTES:
            raise KeyUnavailableError(f"a master key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._kind = kind
        self._id = master_id(self.wrap)

    def __repr__(self) -> str:
        """Only the identity."""
        return f"MemoryMaster({self._id})"

    @property
    def id(self) -> str:
        """Who it is."""
        return self._id

    @property
    def kind(self) -> str:
        """Where it came from."""
        return self._kind

    def wrap(self, key: bytes) -> bytes:
        """40 bytes that only this master opens."""
        return wrap(self._key, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key; KeyUnavailableError when another master wrapped it, or it was changed."""
        return unwrap(self._key, wrapped, what=f"this is not a key of master {self._id}")

    def export(self) -> bytes | None:
        """The master key itself."""
        return self._key


class FileMaster(MemoryMaster):
    """A master key in a file.

    Args:
        path: The file, made by :meth:`create`; without a passphrase its mode must keep others out.
        passphrase: What it was made under; None for a bare one.

    Raises:
        KeyUnavailableError: No such file, not a key file, a wrong, missing or needless passphrase, a file others can read.
    """

    def __init__(self, path: Path, *, passphrase: bytes | None = None) -> None:
        super().__init__(_parse(_read(path, private=True), passphrase, name=path.name), kind="file")

    @classmethod
    def create(cls, path: Path, *, passphrase: bytes | None = None) -> FileMaster:
        """Make a master key. Durable on return; a file that exists is never replaced.

        Raises:
            KeyUnavailableError: The file exists, or the passphrase is empty. StoreError: it cannot be written.
        """
        save(path, secrets.token_bytes(KEY_BYTES), passphrase=passphrase)
        return cls(path, passphrase=passphrase)


class CredentialMaster(MemoryMaster):
    """A master key that systemd hands to the service (``LoadCredentialEncrypted=``): 32 raw bytes, or a bare key file's text.

    Args:
        name: Name of the credential.

    Raises:
        ConfigError: Not a credential's name. KeyUnavailableError: the service was given none, or it is no key.
    """

    def __init__(self, name: str) -> None:
        if not _CREDENTIAL.fullmatch(name):
            raise ConfigError(f"not the name of a credential: {name[:80]!r}")
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise KeyUnavailableError(
                f"the service was started without the credential {name}",
                todo="Start it by systemd, with LoadCredentialEncrypted= in its unit.",
            )
        text = _read(Path(folder) / name, private=False)
        super().__init__(text if len(text) == KEY_BYTES else _parse(text, None, name=name), kind="systemd")


# --- wrapping ---------------------------------------------------------------------------------------------------------
def wrap(wrapping: bytes, key: bytes) -> bytes:
    """AES Key Wrap of a 32-byte key under another: 40 bytes, always the same for the same two keys."""
    if len(key) != KEY_BYTES:
        raise KeyUnavailableError(f"only keys of {KEY_BYTES} bytes are wrapped")
    return aes_key_wrap(wrapping, key)


def unwrap(wrapping: bytes, wrapped: bytes, *, what: str) -> bytes:
    """Undo :func:`wrap`; KeyUnavailableError with ``what`` when another key wrapped it, or it was changed."""
    if len(wrapped) != WRAPPED_BYTES:
        raise KeyUnavailableError(what)
    try:
        return aes_key_unwrap(wrapping, wrapped)
    except (InvalidUnwrap, ValueError) as error:
        raise KeyUnavailableError(what, todo="Give the master key that was in use when it was made.") from error


def master_id(wraps: Callable[[bytes], bytes]) -> str:
    """Who a master is: 16 hexadecimal digits from a fixed value that it wraps."""
    return hashlib.sha256(wraps(_CHECK_VALUE)).hexdigest()[:16]


# --- files ------------------------------------------------------------------------------------------------------------
def save(path: Path, key: bytes, *, passphrase: bytes | None = None) -> None:
    """Write a master key to a new file, mode 0600; durable on return.

    Raises:
        KeyUnavailableError: The file exists (it was not touched), or the passphrase is empty.
        StoreError: It cannot be written.
    """
    if passphrase is not None and not passphrase:
        raise KeyUnavailableError("an empty passphrase protects nothing")
    fields: dict[str, object] = {"format": FORMAT}
    if passphrase is None:
        fields |= {"kdf": "none", "key": _b64(key)}
    else:
        salt = secrets.token_bytes(_SALT_BYTES)
        under = _stretch(passphrase, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
        fields |= {
            "kdf": "scrypt", "n": _SCRYPT_N, "r": _SCRYPT_R, "p": _SCRYPT_P, "salt": _b64(salt),
            "key": _b64(wrap(under, key)),
        }  # fmt: skip
    try:
        make_dirs(path.parent, 0o700)
        publish_new(path, canonical.dumps(fields), mode=0o600)
    except BlobConflictError as error:
        raise KeyUnavailableError(
            f"{path.name} exists; it was not overwritten",
            todo="Use it, or keep it elsewhere: it opens what it wrapped.",
        ) from error
    except OSError as error:
        raise KeyUnavailableError(f"cannot write {path.name}: {os.strerror(error.errno or 0)}") from error


def is_key_file(untrusted: bytes) -> bool:
    """Whether bytes are the file of a master key, under whatever passphrase; nothing is opened."""
    try:
        _fields_of(untrusted)
    except EntryInvalidError:
        return False
    return True


def _fields_of(untrusted: bytes) -> tuple[dict[str, object], bytes]:
    """Members of a key file and the key in it, wrapped or bare; EntryInvalidError for anything :func:`save` would not write."""
    if len(untrusted) > KEY_FILE_BYTES_MAX:
        raise EntryInvalidError("too long")
    fields = canonical.loads(untrusted.rstrip(b"\n"))
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise EntryInvalidError("another format")
    bare = {"format": FORMAT, "kdf": "none", "key": fields.get("key")} == fields
    if not bare and (fields.get("kdf") != "scrypt" or set(fields) != {"format", "kdf", "n", "r", "p", "salt", "key"}):
        raise EntryInvalidError("other members")
    key = unb64(fields["key"])
    if not bare:
        _cost(fields)
        unb64(fields["salt"])
    return fields, key


def _parse(untrusted: bytes, passphrase: bytes | None, *, name: str) -> bytes:
    try:
        fields, key = _fields_of(untrusted)
    except EntryInvalidError as error:
        raise KeyUnavailableError(f"{name} is not the file of a master key ({error.what})") from error
    if fields["kdf"] == "none":
        if passphrase is not None:
            raise KeyUnavailableError(f"{name} is under no passphrase, yet one was given")
        return key
    cost, salt = _cost(fields), unb64(fields["salt"])
    if passphrase is None:
        raise KeyUnavailableError(f"{name} is under a passphrase", todo="Give the passphrase (passphrase_file).")
    return unwrap(_stretch(passphrase, salt, *cost), key, what=f"this is not the passphrase of {name}")


def _cost(fields: dict[str, object]) -> tuple[int, int, int]:
    n, r, p = fields["n"], fields["r"], fields["p"]
    if not (isinstance(n, int) and isinstance(r, int) and isinstance(p, int)):
        raise EntryInvalidError("costs that are no numbers")
    if n < 2 or n & (n - 1) or not 1 <= r <= 64 or not 1 <= p <= 16 or 128 * n * r > _SCRYPT_MEMORY_MAX:
        raise EntryInvalidError("costs that make no sense")
    return n, r, p


def _stretch(passphrase: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=n, r=r, p=p).derive(passphrase)


def _read(path: Path, *, private: bool) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise KeyUnavailableError(
            f"cannot open the master key {path.name}: {os.strerror(error.errno or 0)}",
            todo="Bring the key file back; without it no encrypted object can be read.",
        ) from error
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise KeyUnavailableError(f"{path.name} is not a plain file")
        if private and state.st_mode & 0o077:
            raise KeyUnavailableError(f"others can read {path.name}", todo=f"Set its mode: chmod 600 {path.name}")
        text = os.read(fd, KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {path.name}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(fd)
    if len(text) > KEY_FILE_BYTES_MAX:
        raise KeyUnavailableError(f"{path.name} is too long for a master key")
    return text


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def unb64(untrusted: object) -> bytes:
    """Bytes of base64 text that has exactly one spelling; EntryInvalidError otherwise."""
    if not isinstance(untrusted, str) or not untrusted.isascii():
        raise EntryInvalidError("not base64")
    try:
        data = base64.b64decode(untrusted, validate=True)
    except ValueError as error:
        raise EntryInvalidError("not base64") from error
    if _b64(data) != untrusted:
        raise EntryInvalidError("base64 in another spelling")
    return data
