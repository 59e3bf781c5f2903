"""What the interop tests share: where the outside programs live and the log they judge."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.custody import CustodyLog

ROOT = Path(__file__).parent.parent.parent
INTEROP = ROOT / "tests" / "interop"
INTEROP_PYTHON = ROOT / ".venv-interop" / "bin" / "python"
GO_PACKAGES = Path("/usr/share/gocode")
VERIFIER = ROOT / "verifier" / "liuhen_verify.py"


@dataclass(frozen=True)
class RealLog:
    """A published log with the checkpoints of its growth, and one recording that it proves."""

    directory: Path
    vkey: str
    older: tuple[Path, ...]
    media: Path
    acquired_index: int
    stored_index: int
    custody: CustodyLog

    def copy(self, target: Path) -> Path:
        return Path(shutil.copytree(self.directory, target))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
