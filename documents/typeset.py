"""Sets type: a template of this room with data and files -> a PDF/A-3b, in a sandboxed process of its own.

The data reaches the template as JSON and is never made into markup. Pictures come from hostile media, so decoding happens
without network and privileges, and within bounds of memory and time. Calls from any number of threads are independent. The
same arguments give the same bytes: the only time in the file is the one passed in.

The working folder lies in memory where the system has such a place (documents name persons and show stills; a home whose
footage is encrypted leaves none of it on a disk). Crash: it holds nothing but this document; the system removes it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from documents.glyphs import FONT_FOLDER, font_folder
from evidence import sandbox
from evidence.clock import unix_ms
from evidence.durable import write_all
from evidence.errors import InvalidInputError, LimitExceededError, SandboxError

TEMPLATES: Final = Path(__file__).with_name("templates")
_PROGRAM: Final = Path(__file__).with_name("typeset_program.py")
#: A document is read by people: more text than this is a spreadsheet's work. 8 MB are some 2,000 full pages.
DATA_BYTES_MAX: Final = 8 << 20
#: Pictures and attachments of one document together; proof bundles are some kilobytes, stills some hundred.
FILES_BYTES_MAX: Final = 256 << 20
_LIMITS: Final = sandbox.SandboxLimits(timeout_s=120, memory_bytes=6 << 30, cpu_s=240, file_bytes=1 << 30)
_REFUSED: Final = 3
#: So many documents are set at once: each may take gigabytes, and whoever may print must not be able to stop the intake.
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_WAIT_S: Final = 60.0
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of random name is made in it


def _in_memory() -> str | None:
    """A place that is memory; None for the usual one."""
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK | os.X_OK) else None


@contextmanager
def _turn() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=_WAIT_S):
        raise LimitExceededError(
            "too many documents are being printed at once", kept="Nothing was printed.", todo="Try again in a minute."
        )
    try:
        yield
    finally:
        _AT_ONCE.release()


def _write(folder: Path, name: str, data: bytes) -> None:
    fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def typeset(
    template: str,
    data: Mapping[str, Any],
    *,
    at: datetime,
    files: Mapping[str, bytes] | None = None,
    tags: bool = True,
    fonts: Path = FONT_FOLDER,
) -> bytes:
    """Render ``template`` (a file of this room's ``templates/``) to a PDF/A-3b.

    Args:
        template: Its name, for example ``document.typ``.
        data: What the template reads as ``data.json`` of its folder.
        at: The time written into the file.
        files: Further files the template reads, by plain name.
        tags: Whether the file carries its structure for reading software; in a long table it is nine tenths of the bytes.
        fonts: The folder of the fonts.

    Raises:
        ConfigError: The fonts are not installed.
        LimitExceededError: More than a document carries, or it took more time or memory than allowed.
        InvalidInputError: A picture is damaged or something else in the data cannot be set.
    """
    text = json.dumps(data, ensure_ascii=False).encode("utf-8")
    files = dict(files or {})
    if len(text) > DATA_BYTES_MAX or sum(map(len, files.values())) > FILES_BYTES_MAX:
        raise LimitExceededError(
            "this is more than a printed document carries", kept="Nothing was printed.",
            todo="Narrow the period or take the spreadsheet instead.",
        )  # fmt: skip
    job = {"main": template, "fonts": str(font_folder(fonts)), "timestamp": unix_ms(at) // 1000, "tags": tags}
    with tempfile.TemporaryDirectory(prefix="liuhen-print-", dir=_in_memory()) as name:
        folder = Path(name)
        for source in TEMPLATES.glob("*.typ"):
            _write(folder, source.name, source.read_bytes())
        for file, content in files.items():
            _write(folder, file, content)
        _write(folder, "input.json", text)
        _write(folder, "job.json", json.dumps(job).encode("utf-8"))
        try:
            with _turn():
                result = sandbox.run([sys.executable, "-I", str(_PROGRAM), str(folder)], limits=_LIMITS, check=False)
        except SandboxError as error:
            raise LimitExceededError(
                f"the document could not be set: {error.what}", kept="Nothing was printed."
            ) from error
        message = result.untrusted_stderr.decode("utf-8", "replace").strip()[-400:]
        if result.returncode == _REFUSED:
            raise InvalidInputError(
                f"the document cannot be set: {message}", kept="Nothing was printed.", todo="Look at its pictures."
            )
        if result.returncode != 0:
            raise LimitExceededError(
                f"setting the document ended with status {result.returncode}: {message}", kept="Nothing was printed.",
                todo="Print less at once; a picture of it may be damaged.",
            )  # fmt: skip
        return (folder / "out.pdf").read_bytes()
