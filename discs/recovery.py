"""Error correction over a whole image with dvdisaster's RS03, where the image leaves room for it.

The image stays a valid disc; the code fills the rest of the medium. With it a scratched copy can be mended from itself. It is
an extra: the second copy and the stores come first. dvdisaster knows the common sizes only and takes the smallest that fits.

Source: dvdisaster(1); docs/formats/disc.md "Error correction" (measured: creates at 37-70 MB/s, repairs a CD in minutes).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from discs.media import SECTOR_BYTES, sectors_of
from evidence import sandbox
from evidence.durable import read_from_medium
from evidence.errors import DiscDamagedError, DiscError, SandboxError

#: Above this share of the medium the code would be too thin to be worth its time.
SHARE_MAX: Final = 0.83
#: What dvdisaster takes CD, DVD, DVD DL, BD and BD DL to hold; a medium has to be at least that large.
_CODED_SECTORS: Final = (359_424, 2_295_104, 4_171_712, 11_826_176, 23_652_352)
_CONTROLS = re.compile(r"[\r\x08]+")


def fits(image_bytes: int, *, medium_sectors: int) -> bool:
    """Whether an image of that size leaves the room, on this very medium (dvdisaster would pick no smaller one)."""
    sectors = sectors_of(image_bytes)
    picked = next((coded for coded in _CODED_SECTORS if sectors <= coded * SHARE_MAX), None)
    return picked is not None and picked <= medium_sectors and sectors <= medium_sectors * SHARE_MAX


def _run(arguments: list[str], *, cwd: Path, timeout_s: float) -> tuple[int, str]:
    limits = sandbox.SandboxLimits(timeout_s=timeout_s, cpu_s=int(timeout_s * 2))
    try:
        result = sandbox.run(["dvdisaster", *arguments], cwd=cwd, limits=limits, check=False)
    except SandboxError as error:
        raise DiscError(error.what, kept="The image stands without error correction.", todo=error.todo) from error
    text = _CONTROLS.sub("\n", (result.untrusted_stdout + result.untrusted_stderr).decode("utf-8", "replace"))
    lines = [line.strip() for line in text.split("\n") if line.strip().isprintable() and line.strip()]
    return result.returncode, "; ".join(lines[-4:])[:300]


def augment(image: Path, *, medium_sectors: int) -> None:
    """Add error correction to an image in place. The caller reads the result back and gives it its name afterwards.

    Raises:
        DiscError: It failed, or the result would not fit on the medium.
    """
    before = image.stat().st_size
    timeout_s = 900 + before / (1 << 20)
    status, told = _run(["-i", image.name, "-mRS03", "-o", "image", "-c"], cwd=image.parent, timeout_s=timeout_s)
    if status != 0:
        raise DiscError(f"error correction could not be added: {told}", kept="The stores keep the footage.")
    after = image.stat().st_size
    if after > medium_sectors * SECTOR_BYTES or after <= before or after % SECTOR_BYTES:
        raise DiscError(
            f"with error correction the image would have {after:,} bytes and not fit",
            kept="The stores keep the footage.",
            todo="Make it without error correction.",
        )


def mend(image: Path, *, sha256: str) -> None:
    """Repair a damaged image (a copy read from a disc) from its own error correction, in place.

    What dvdisaster's exit status says after a repair is not relied on: the bytes are judged.

    Args:
        image: The copy.
        sha256: Digest of the image as it was burnt, hexadecimal.

    Raises:
        DiscDamagedError: It carries none, or too much is damaged.
    """
    timeout_s = 7200 + image.stat().st_size / (1 << 18)
    _status, told = _run(["-i", image.name, "-f"], cwd=image.parent, timeout_s=timeout_s)
    whole = hashlib.sha256()
    for chunk in read_from_medium(image):
        whole.update(chunk)
    if whole.hexdigest() != sha256:
        raise DiscDamagedError(
            f"error correction cannot mend this copy: {told}",
            kept="What was read is kept beside it.",
            todo="Make the copy again from the other copy or from the stores.",
        )
