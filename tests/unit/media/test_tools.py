"""Programs that crash, starve or never start: what is the file's doing, and what is ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.errors import MediaError
from evidence.model import RecordingKind
from media import describe, tools
from support import footage


def shell(script: str, **options) -> tools.ToolRun:
    return tools.run(["bash", "-c", script], timeout_s=20, **options)


def test_a_crash_without_a_word_is_a_complaint() -> None:
    crashed = shell("kill -SEGV $$")
    assert (crashed.complaints, crashed.stopped) == (1, False)
    assert crashed.first_complaint == "bash was ended by signal 11"


@pytest.mark.parametrize("name", ["KILL", "XCPU", "XFSZ"])
def test_a_program_that_met_a_limit_says_nothing_of_the_file(name: str) -> None:
    assert shell(f"kill -{name} $$").stopped


def test_a_program_that_takes_too_long_is_stopped() -> None:
    stopped = tools.run(["bash", "-c", "sleep 30"], timeout_s=0.5)
    assert (stopped.stopped, stopped.first_complaint) == (True, "bash was stopped after 0 s")


@pytest.mark.parametrize(
    "told",
    [
        "unshare: unshare failed: Operation not permitted", "prlimit: failed to set the AS resource limit",
        "setpriv: failed to execute prlimit: No such file or directory",
    ],
)  # fmt: skip
def test_a_sandbox_that_cannot_be_made_is_our_trouble(told: str) -> None:
    with pytest.raises(MediaError, match="no sandbox"):
        shell(f"echo '{told}' >&2; exit 127")


def test_what_a_file_makes_a_program_say_is_never_taken_for_our_trouble() -> None:
    assert shell("echo '[avi @ 0x1] prlimit: failed' >&2; exit 1").complaints == 1
    assert shell("echo found; echo 'unshare: failed' >&2; exit 1").complaints == 1


def test_a_scratch_directory_that_is_gone_is_our_trouble(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot start"):
        shell("true", cwd=tmp_path / "gone")


def test_no_verdict_is_spoken_when_no_program_could_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ("bash", "-c", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1", "--")
    monkeypatch.setattr("evidence.sandbox.network_isolation", lambda: refused)
    with pytest.raises(MediaError, match="no sandbox"):
        describe(footage.talking_mp4(), RecordingKind.VIDEO, tmp_path)
