"""The repository as the architecture tests see it."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def rooms() -> list[str]:
    """The import packages."""
    return project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@cache
def files() -> tuple[Path, ...]:
    """Every file that is or would be committed; of an unpacked source archive, every file of the known folders."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True,
        ).stdout.split(b"\0")  # fmt: skip
        paths = [ROOT / name.decode() for name in listed if name]
    else:
        folders = [*rooms(), "benchmarks", "docs", "requirements", "systemd", "tests", "tools", "verifier"]
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    return tuple(sorted(path for path in paths if path.is_file()))


def python_sources() -> list[Path]:
    """Our modules: the rooms and the stand-alone verifier."""
    ours = {*rooms(), "verifier"}
    return [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ours]
