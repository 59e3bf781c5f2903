"""Doctor tells what is, not what should be."""

import json

import pytest

from app import sandboxed
from app.cli import main
from evidence.errors import SandboxError
from evidence.sandbox import SandboxResult
from support.program import Program, flip


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


BUCKET = """
[station]
name = "unit"
origin = "liuhen.test/unit"
[[storage.stores]]
kind = "local"
name = "primary"
path = "stores/primary"
[[storage.stores]]
kind = "s3"
name = "far"
endpoint = "https://s3.example"
bucket = "b"
access_key_file = "{folder}/access"
secret_key_file = "{folder}/secret"
"""


def test_keys_of_a_bucket_that_others_can_read_are_told(capsys, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(BUCKET.format(folder=tmp_path))
    for name, mode in (("access", 0o600), ("secret", 0o644)):
        (tmp_path / name).write_text("k")
        (tmp_path / name).chmod(mode)
    main.run(["doctor", "--home", str(home), "--json"])
    told = [row for row in json.loads(capsys.readouterr().out) if row["what"] == "secret"]
    assert [(row["level"], str(tmp_path / "secret") in row["detail"]) for row in told] == [("bad", True)]
    assert "chmod" in told[0]["fix"]


def verification_line(station) -> dict[str, str]:
    return next(row for row in station.json("doctor", status=None) if row["what"] == "verification")


def test_the_newest_verification_is_told_whoever_ran_it(tmp_path):
    station = Program(tmp_path / "home")
    station.whole = False
    station.init()
    assert verification_line(station)["level"] == "warn"
    station.verified()
    assert (verification_line(station)["level"], verification_line(station)["fix"]) == ("ok", "")
    bundle = next(path for path in (station.home / "log/public/tile/entries").rglob("*") if path.is_file())
    flip(bundle)
    station.json("verify", status=1)
    told = verification_line(station)
    assert (told["level"], told["detail"].split()[0]) == ("bad", "tampered")
    flip(bundle)
    station.verified()
    assert verification_line(station)["level"] == "ok"
