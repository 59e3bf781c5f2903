"""What the bytes around a mounted recorder mean: mount table, volume labels, identity files. No I/O.

Source: proc(5) mountinfo; public dock software (``sn.txt`` at the root); Amba recorders (label = device code).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from devices.file_names import parse

_OCTAL = re.compile(rb"\\([0-7]{3})")
_SERIAL = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{2,62}")
#: A label is taken for a device code when it has no word in it: at least four digits, letters and digits only.
_CODE_LABEL = re.compile(r"(?=(?:.*[0-9]){4})[0-9A-Za-z-]{5,16}")
_PORT = re.compile(r"/([0-9]+-[0-9]+(?:\.[0-9]+)*)(?=[/:])")
#: A majority of fewer names than this says nothing about a recorder.
NAMES_MIN = 3
SERIAL_FILE = b"sn.txt"
SERIAL_FILE_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table.

    Attributes:
        point: Mount point, exact bytes.
        device: ``major:minor``.
        root: The directory of the file system that is mounted there (``/`` unless it is a bind mount).
        fs_type: File system type.
    """

    point: bytes
    device: str
    root: bytes
    fs_type: str


def _unescape(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def parse_mountinfo(table: bytes) -> list[Mount]:
    """The mount table in order; lines that do not have its form are left out."""
    mounts: list[Mount] = []
    for line in table.splitlines():
        fields = line.split(b" ")
        if len(fields) < 9 or b"-" not in fields[6:]:
            continue
        kind = fields[fields.index(b"-", 6) + 1 :]
        if not kind:
            continue
        mounts.append(
            Mount(
                point=_unescape(fields[4]),
                device=fields[2].decode("ascii", "replace"),
                root=_unescape(fields[3]),
                fs_type=kind[0].decode("ascii", "replace"),
            )
        )
    return mounts


def mount_at(mounts: Iterable[Mount], path: bytes) -> Mount | None:
    """The file system whose mount point is exactly ``path`` and which shows its own root there; the last one wins."""
    found = None
    for mount in mounts:
        if mount.point == path and mount.root == b"/":
            found = mount
    return found


def serial_of_file(untrusted: bytes) -> str:
    """The serial in ``sn.txt``: its first non-empty line, if it looks like a serial; else empty.

    A line may say ``SN: 8888888`` or the bare number; text is GBK or UTF-8 (with or without a mark).
    """
    if len(untrusted) > SERIAL_FILE_BYTES_MAX:
        return ""
    text = untrusted.removeprefix(b"\xef\xbb\xbf").decode("ascii", "replace")
    for line in text.splitlines():
        if not line.strip("\0 \t"):
            continue
        value = re.split(r"[:=]", line)[-1].strip("\0 \t\"'")
        return value if _SERIAL.fullmatch(value) else ""
    return ""


def serial_of_label(label: str) -> str:
    """A volume label that is a device code; labels like ``NO NAME`` or ``USB DISK`` are none."""
    return label if _CODE_LABEL.fullmatch(label) else ""


def codes_of_names(paths: Iterable[str]) -> Counter[str]:
    """How many names carry which device code."""
    return Counter(code for path in paths if (code := parse(path).device_code))


def serial_of_codes(codes: Counter[str]) -> str:
    """The device code that most names on the card carry, when it is more than half of those that carry one."""
    if codes.total() < NAMES_MIN:
        return ""
    code, count = codes.most_common(1)[0]
    return code if count * 2 > codes.total() else ""


def serial_of_path(path: bytes, inode: int) -> str:
    """A stable stand-in for a serial: this directory on this computer. Says nothing about the recorder."""
    return "path-" + hashlib.sha256(path + b"\0" + str(inode).encode("ascii")).hexdigest()[:16]


def port_of(sysfs_path: str) -> str:
    """The USB port path (``1-1.4.2``) in the resolved sysfs path of a block device; empty when it is not on USB."""
    ports = _PORT.findall(sysfs_path + "/")
    return ports[-1] if ports else ""
