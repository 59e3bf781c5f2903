"""Exit codes are a contract: the page, the errors and the program agree, and 1 means tamper or loss only."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import click
import pytest

import app.cli
from app.cli import main
from app.control import RemoteError
from evidence.errors import EvidenceError, IntegrityError

PAGE = (Path(__file__).parents[3] / "docs/formats/cli.md").read_text("utf-8")
OUTSIDE_THE_FAMILIES = {0, 130, 141}


def families(kind: type[EvidenceError] = EvidenceError) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    if kind.__module__ == EvidenceError.__module__:  # the pages have a refinement or two that no command ends with
        found.setdefault(kind.exit_code, set()).add(kind.code)
    for below in kind.__subclasses__():
        for status, codes in families(below).items():
            found.setdefault(status, set()).update(codes)
    return found


def test_the_table_on_the_page_is_the_one_in_the_program():
    rows = re.findall(r"^\| (\d+) \| [^|]+ \|([^|]*)\|$", PAGE, re.MULTILINE)
    told = {int(status): set(re.findall(r"`([^`]+)`", codes)) for status, codes in rows}
    assert {status for status, codes in told.items() if not codes} == OUTSIDE_THE_FAMILIES
    assert {status: codes for status, codes in told.items() if codes} == families()


def test_no_room_gives_an_error_a_status_of_its_own():
    import api.app  # noqa: F401 - its errors are known once it is imported

    kernel = families()

    def below(kind):
        return [kind, *(each for one in kind.__subclasses__() for each in below(one))]

    assert {kind.exit_code for kind in below(EvidenceError)} == set(kernel)


def test_status_1_belongs_to_integrity_alone():
    for kind in [EvidenceError, *EvidenceError.__subclasses__()]:
        assert (kind.exit_code == 1) == issubclass(kind, IntegrityError)


def every_command(group: click.Group, prefix: tuple[str, ...] = ()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*prefix, name))
        else:
            yield (*prefix, name), command


def test_every_command_takes_a_home_and_json_and_stands_on_the_page():
    for name, command in every_command(main.cli):
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--home" in options, name
        if name != ("demo",):
            assert "--json" in options, name
        assert f"liuhen {name[0]}" in PAGE
        assert f"`{name[-1]}" in PAGE or f"{name[-1]} " in PAGE or f"{name[-1]}`" in PAGE, name


def test_every_command_file_is_offered():
    modules = {info.name for info in pkgutil.iter_modules(app.cli.__path__)}
    files = {name.removeprefix("command_") for name in modules if name.startswith("command_")}
    assert files == set(main.cli.list_commands(click.Context(main.cli)))


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (KeyboardInterrupt(), 130), (EOFError(), 130), (ValueError("x"), 70), (OSError(5, "x"), 70),
        (IntegrityError("x"), 1), (RemoteError({"exit_code": 20, "code": "device"}), 20),
        (RemoteError({"exit_code": 0}), 70), (RemoteError({"exit_code": "1"}), 70), (RemoteError({}), 70),
    ],
)  # fmt: skip
def test_whatever_happens_in_a_command_has_its_status(monkeypatch, capsys, raised, status):
    module = importlib.import_module("app.cli.command_log")

    @click.command()
    @click.option("--json", is_flag=True)
    def log(**_options: object) -> None:
        raise raised

    monkeypatch.setattr(module, "log", log)
    monkeypatch.setattr(main, "configure", lambda **_options: None)
    assert main.run(["log", "--json"]) == status
    told = capsys.readouterr()
    assert told.out == ""
    if status not in OUTSIDE_THE_FAMILIES:
        assert set(json.loads(told.err.splitlines()[-1])["error"]) == {"code", "what", "kept", "todo"}


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["--version"], 0), ([], 2), (["log"], 2), (["x"], 2)]
)
def test_help_is_good_and_a_wrong_call_is_2(monkeypatch, capsys, arguments, status):
    monkeypatch.setattr(main, "configure", lambda **_options: None)
    assert main.run(arguments) == status
    capsys.readouterr()


@pytest.mark.parametrize(
    "arguments",
    [["x", "--json"], ["storage", "locate", "--json"], ["verify", "--jsno", "--json"],
     ["recordings", "list", "--limit", "-1", "--json"], ["recordings", "list", "--limit", "many", "--json"]],
)  # fmt: skip
def test_a_wrong_call_is_told_in_json_too(monkeypatch, capsys, arguments):
    monkeypatch.setattr(main, "configure", lambda **_options: None)
    assert main.run(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    error = json.loads(told.err)["error"]
    assert error["code"] == "usage"
    assert error["what"]
