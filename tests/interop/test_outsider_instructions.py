"""The commands that docs/formats/verifier.md tells an outsider to type do what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from chain_of_custody.checkpoint import NoteVerifier
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from support.outside import INTEROP_PYTHON, ROOT, VERIFIER

PAGE = ROOT / "docs" / "formats" / "verifier.md"


def commands(section: int) -> list[str]:
    """The indented blocks of a section, one script each."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}. ", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"(?:^    .*\n)+", text, flags=re.MULTILINE)
    assert blocks
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.fixture
def desk(real_log, tmp_path):
    """An outsider's working directory, with the files the page names."""
    if not INTEROP_PYTHON.is_file():
        pytest.fail("make .venv-interop (requirements/interop.txt)", pytrace=False)
    real_log.copy(tmp_path / "public")
    (tmp_path / "vkey.txt").write_text(real_log.vkey + "\n")
    reader = LogReader(real_log.directory, verifier=NoteVerifier.parse(real_log.vkey))
    (tmp_path / "recording.tlog-proof").write_bytes(proof_for(reader, real_log.stored_index))
    shutil.copy(real_log.media, tmp_path / "recording.mp4")
    for name, size in (("my-old-checkpoint", 2), ("checkpoint-a", 4), ("checkpoint-b", 5)):
        shutil.copy(real_log.older[size], tmp_path / name)
    shutil.copy(VERIFIER, tmp_path / "liuhen_verify.py")
    for name in ("tests", "requirements", ".venv-interop"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def type_in(desk, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-euc", script], cwd=desk, capture_output=True, text=True, encoding="utf-8", timeout=200, check=False
    )


@pytest.mark.parametrize("section", [1, 2, 3, 4])
def test_the_commands_of_the_page_work_as_typed(desk, section):
    for block in commands(section):
        script = "".join(
            line + "\n"
            for line in block.splitlines()
            if not line.startswith(("apt-get", "python3 -m venv", ".venv-interop/bin/pip"))  # set-up, done already
        )
        done = type_in(desk, script)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_the_openssl_commands_of_the_page_refuse_a_changed_checkpoint(desk):
    note = desk / "public" / "checkpoint"
    note.write_bytes(note.read_bytes().replace(b"\n600\n", b"\n601\n"))
    assert type_in(desk, commands(2)[0]).returncode == 1
