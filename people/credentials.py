"""Passwords: how they are kept, made, judged and guarded against guessing.

Only an Argon2id hash is ever kept. Texts are brought to Unicode NFC first, so that one password typed on two keyboards
stays one password.

Source: RFC 9106 section 4 (parameters); RFC 8265 section 4.2 (NFC); GB/T 22239-2019 section 8.1.4.1 (lock-out, strength).
"""

from __future__ import annotations

import secrets
import unicodedata
from datetime import datetime, timedelta
from typing import Final

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from evidence.errors import InvalidInputError

#: Failures in a row before the lock falls; each further failure locks again, a success starts anew.
FAILURES_MAX: Final = 5
LOCK_OUT: Final = timedelta(minutes=15)
PASSWORD_CHARS_MIN: Final = 10
#: From this length on a password needs no mixture of character classes.
PASSPHRASE_CHARS_MIN: Final = 16
PASSWORD_CHARS_MAX: Final = 128
_CLASSES_MIN = 3
_DISTINCT_MIN = 5
#: No letter or digit that could be taken for another when read aloud or copied by hand; 31^16 is 79 bits.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

# RFC 9106's second recommended set: 64 MiB, three passes, four lanes.
_HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4, type=argon2.Type.ID)
#: The hash of a password nobody knows: checked for unknown log-ins, so that they take as long as known ones.
NOBODY_HASH: Final = "$argon2id$v=19$m=65536,t=3,p=4$YsPGlbtaSGGX61Br2k6Dng$H50EfYvQf5xEBXD2/Ld1y5cE81xSb2PUMzY+v0jOsp0"


def _normal(password: str) -> bytes:
    try:
        return unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInputError("a password cannot hold this character") from error


def hash_password(password: str) -> str:
    """Argon2id hash with its parameters and a fresh salt; InvalidInputError for a text that is none."""
    return _HASHER.hash(_normal(password))


def verify(password_hash: str, untrusted_password: str) -> bool:
    """Whether the password belongs to the hash; False for anything that cannot be one. Takes the hash's full time."""
    if len(untrusted_password) > PASSWORD_CHARS_MAX:
        untrusted_password = ""  # no password is that long: do the work all the same
    try:
        return _HASHER.verify(password_hash, _normal(untrusted_password))
    except (Argon2Error, InvalidHashError, InvalidInputError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's and should be replaced at the next log-in."""
    try:
        return _HASHER.check_needs_rehash(password_hash)
    except InvalidHashError:
        return True


def one_time_password() -> str:
    """A random password to be handed over once: four groups of four characters that are easy to copy."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def require_strong(untrusted_password: str, *, login: str) -> None:
    """Return when the password may be used.

    Raises:
        InvalidInputError: Too short or long, too uniform, control characters, or it holds the log-in name.
    """
    password = _normal(untrusted_password).decode("utf-8")
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise InvalidInputError(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    if any(unicodedata.category(character).startswith("C") for character in password):
        raise InvalidInputError("a password cannot hold control characters")
    if len(password) < PASSPHRASE_CHARS_MIN and _classes(password) < _CLASSES_MIN:
        raise InvalidInputError(
            f"a password of fewer than {PASSPHRASE_CHARS_MIN} characters mixes three of: capitals, small letters, "
            "digits, other characters"
        )
    if len(set(password)) < _DISTINCT_MIN:
        raise InvalidInputError(f"a password has at least {_DISTINCT_MIN} different characters")
    if login and login.casefold() in password.casefold():
        raise InvalidInputError("a password cannot hold the log-in name")


def _classes(password: str) -> int:
    return len(
        {
            "upper" if c.isupper() else "lower" if c.islower() else "digit" if c.isdecimal() else "other"
            for c in password
        }
    )


def is_locked(locked_until: datetime | None, now: datetime) -> bool:
    """Whether log-ins are refused at this moment, right password or not."""
    return locked_until is not None and now < locked_until


def after_failure(failed_count: int, now: datetime) -> tuple[int, datetime | None]:
    """The new number of failures in a row, and until when the log-in is locked because of them."""
    failed = failed_count + 1
    return failed, now + LOCK_OUT if failed >= FAILURES_MAX else None
