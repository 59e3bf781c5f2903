"""The program that sets type, run in the sandbox: reads a folder, writes ``out.pdf`` into it. Imports nothing of ours.

``job.json`` in the folder: ``main`` (template file), ``fonts`` (folder), ``timestamp`` (Unix seconds),
``tags`` (whether reading software gets the structure). Exit status 3 and one
message on standard error: the template refused the data (for example a broken picture).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typst


def main(folder: Path) -> int:
    """Render the job in ``folder``."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    try:
        typst.compile(
            str(folder / job["main"]), output=str(folder / "out.pdf"), root=str(folder), font_paths=[job["fonts"]],
            ignore_system_fonts=True,
            pdf_standards=["a-3b"], timestamp=job["timestamp"], pdf_tags=job["tags"], package_path=str(folder),
            package_cache_path=str(folder),
        )  # fmt: skip
    except typst.TypstError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - this is its answer
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
