"""The physical things a folder stands on: what would take it along when it dies.

Partitions, LVM and LUKS volumes, RAID arrays, loop images and subvolumes are only ways of cutting up disks: each is followed
down to the disks themselves, so that two volumes on one disk are never counted as two places (promise 1). Disks over which
one volume is spread without redundancy are one place too: the death of either takes the volume.

The machine cannot tell everything: virtual disks of one host, or volumes of one storage array, look like disks of their own.

Source: sysfs(5) ``slaves`` and ``loop/backing_file``; proc(5) mountinfo; btrfs-ioctl(3) BTRFS_IOC_FS_INFO; docs/adr/0008.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_SYS = Path("/sys")
_BTRFS_IOC_FS_INFO = 0x8400941F
_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
_SURVIVE_A_DISK = {"raid1", "raid4", "raid5", "raid6", "raid10"}
_NO_DEVICE = 0
_SERVED_BY: dict[str, Callable[[str], str]] = {
    "zfs": lambda source: f"zfs:{source.partition('/')[0]}",
    "nfs": lambda source: f"nfs:{source.partition(':/')[0]}",
    "nfs4": lambda source: f"nfs:{source.partition(':/')[0]}",
    "cifs": lambda source: f"cifs:{source.lstrip('/').partition('/')[0]}",
    "smb3": lambda source: f"cifs:{source.lstrip('/').partition('/')[0]}",
}


_FORGETS = {"tmpfs", "ramfs"}


class _Mount(NamedTuple):
    kind: str
    source: str
    options: str


def disks_below(path: Path) -> set[str]:
    """Name the physical things under ``path``: ``disk:sda``, ``memory``, ``nfs:<server>``.

    ``device:<major>:<minor>`` where the machine tells no more.

    Raises:
        OSError: The path cannot be looked at.
    """
    things = _things(path)
    spread = _spread_volumes()
    while partners := [volume for volume in spread if volume & things and not volume <= things]:
        things = things.union(*partners)
    return things


def why_readable(path: Path) -> str:
    """Why somebody who carries the machine's disks away could read what lies in a folder; empty where they could not.

    Memory (tmpfs, ramfs) and volumes of dm-crypt (LUKS, plain) keep it from them, also below LVM, arrays, loop files and btrfs.
    What cannot be told counts as readable: ZFS, network mounts, disks that encrypt by themselves. Memory may be swapped out:
    see :func:`open_swap`.

    Raises:
        OSError: The path cannot be looked at.
    """
    device = path.stat().st_dev
    if os.major(device) == _NO_DEVICE:
        mount = _mount_of(path)
        if mount is None:
            return "it cannot be told what it lies on"
        if mount.kind in _FORGETS:
            return ""
        if mount.kind == "btrfs":
            devices = _btrfs_devices(path)
            return "" if devices is not None and _all_encrypted(devices) else "its btrfs is not encrypted"
        if mount.kind == "overlay":
            options = dict(option.partition("=")[::2] for option in mount.options.split(","))
            return why_readable(Path(options["upperdir"])) if "upperdir" in options else "it is an overlay"
        return f"its file system ({mount.kind}) is not known to be encrypted"
    node = _SYS / "dev/block" / f"{os.major(device)}:{os.minor(device)}"
    return "" if _encrypted(node.resolve()) else f"its disk ({node.resolve().name}) is not encrypted"


def open_swap() -> list[str]:
    """Swap areas from which pages of memory could be read on another machine: all but encrypted ones and those in memory."""
    found = []
    try:
        areas = [line.split()[:2] for line in Path("/proc/swaps").read_text("utf-8").splitlines()[1:]]
    except OSError:
        return []
    for name, kind in areas:
        path = Path(name.replace("\\040", " "))
        try:
            if kind == "partition":
                node = (_SYS / "class/block" / path.resolve().name).resolve()
                closed = _stays_in_memory(node) if node.name.startswith("zram") else _encrypted(node)
            else:
                closed = not why_readable(path)
        except OSError:
            closed = False
        if not closed:
            found.append(str(path))
    return found


def _stays_in_memory(zram: Path) -> bool:
    """Whether compressed memory has no disk behind it to which it writes pages that are idle."""
    backing = zram / "backing_dev"
    return not backing.exists() or backing.read_text("utf-8").strip() in {"", "none"}


def _encrypted(node: Path) -> bool:
    """Whether a block device, or everything it is made of, is a mapping of dm-crypt."""
    try:
        if (node / "dm/uuid").read_text("ascii").startswith("CRYPT-"):
            return True
    except OSError:
        pass
    if (node / "slaves").is_dir() and any((node / "slaves").iterdir()):
        return _all_encrypted(node / "slaves")
    if (node / "partition").exists():
        return _encrypted(node.parent)
    try:
        return not why_readable(Path((node / "loop/backing_file").read_text("utf-8").rstrip("\n")))
    except (OSError, UnicodeDecodeError):
        return False


def _all_encrypted(links: Path) -> bool:
    devices = [link.resolve() for link in links.iterdir()]
    return bool(devices) and all(_encrypted(device) for device in devices)


def _things(path: Path) -> set[str]:
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    if os.major(device) == _NO_DEVICE:  # a file system that stands on no single block device
        return _below_mount(path) or {f"device:{number}"}
    try:
        node = (_SYS / "dev/block" / number).resolve(strict=True)
    except OSError:
        return {f"device:{number}"}
    return _below_block_device(node)


def _below_block_device(node: Path) -> set[str]:
    if (node / "partition").exists():
        node = node.parent
    slaves = node / "slaves"  # what a device-mapper volume or an array is made of
    if slaves.is_dir() and (below := _all_below(slaves)):
        return below
    try:
        return _things(Path((node / "loop/backing_file").read_text("utf-8").rstrip("\n")))
    except (OSError, UnicodeDecodeError):  # no loop device, or its file lies where this process cannot look
        return {f"disk:{node.name}"}


def _spread_volumes() -> list[set[str]]:
    """What every volume stands on that is laid over several devices and does not survive the death of one of them."""
    volumes = []
    try:
        for node in (_SYS / "block").iterdir():
            slaves, level = node / "slaves", node / "md/level"
            mirrored = level.exists() and level.read_text("ascii").strip() in _SURVIVE_A_DISK
            if slaves.is_dir() and not mirrored and len(list(slaves.iterdir())) > 1:
                volumes.append(_all_below(slaves))
        volumes += [_all_below(devices) for devices in (_SYS / "fs/btrfs").glob("*/devices")]
    except OSError:  # hidden, or a volume vanished meanwhile: what is known already stands
        pass
    return volumes


def _all_below(links: Path) -> set[str]:
    """The disks below every block device that a folder of sysfs links to."""
    return set().union(*(_below_block_device(link.resolve()) for link in links.iterdir()))


def _below_mount(path: Path) -> set[str]:
    mount = _mount_of(path)
    if mount is None:
        return set()
    if mount.kind in _MEMORY:
        return {"memory"}
    if mount.kind == "btrfs":
        return _below_btrfs(path)
    if mount.kind == "overlay":
        return _below_overlay(mount)
    server = _SERVED_BY.get(mount.kind)
    return {server(mount.source)} if server else set()


def _below_btrfs(path: Path) -> set[str]:
    """Every subvolume has a device number of its own; the file system's identity leads to its disks."""
    devices = _btrfs_devices(path)
    try:
        return _all_below(devices) if devices is not None else set()
    except OSError:
        return set()


def _btrfs_devices(path: Path) -> Path | None:
    info = bytearray(1024)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _BTRFS_IOC_FS_INFO, info)
    except OSError:
        return None
    finally:
        os.close(fd)
    return _SYS / "fs/btrfs" / str(uuid.UUID(bytes=bytes(info[16:32]))) / "devices"


def _below_overlay(mount: _Mount) -> set[str]:
    options = dict(option.partition("=")[::2] for option in mount.options.split(","))
    try:
        return _things(Path(options["upperdir"]))
    except (KeyError, OSError):  # read-only, or a container that does not see its own upper folder
        return set()


def _mount_of(path: Path) -> _Mount | None:
    """The mount that ``path`` lies on, by the kernel's own number for it: paths can be mounted over."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        facts = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii")
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    finally:
        os.close(fd)
    number = next((line.split()[1] for line in facts.splitlines() if line.startswith("mnt_id:")), "")
    for line in mounts.splitlines():
        if line.split(" ", 1)[0] == number:
            kind, source, options = line.partition(" - ")[2].split(" ")[:3]
            return _Mount(kind, source, options)
    return None
