"""Doctor tells what is, not what should be."""

import json

import pytest

from app import sandboxed
from app.cli import main
from evidence.errors import SandboxError
from evidence.sandbox import SandboxResult


def sandbox_line(capsys, tmp_path) -> dict[str, str]:
    main.run(["doctor", "--home", str(tmp_path / "none"), "--json"])
    return next(row for row in json.loads(capsys.readouterr().out) if row["what"] == "sandbox")


def test_a_sandbox_that_works_is_good(capsys, tmp_path):
    assert sandboxed.sandbox_trouble() == ""
    assert sandbox_line(capsys, tmp_path)["level"] in {"ok", "warn"}


@pytest.mark.parametrize("way", ["refused", "silent", "missing"])
def test_a_sandbox_in_which_nothing_starts_is_bad_and_says_why(capsys, tmp_path, monkeypatch, way):
    def run(*_arguments, **_options):
        if way == "missing":
            raise SandboxError("cannot start true: No such file or directory")
        return SandboxResult(127, b"", b"setpriv: Operation not permitted\n" if way == "refused" else b"")

    monkeypatch.setattr(sandboxed.sandbox, "run", run)
    told = sandbox_line(capsys, tmp_path)
    assert told["level"] == "bad"
    expected = {"refused": "Operation not permitted", "silent": "status 127", "missing": "No such file"}[way]
    assert expected in told["detail"]
