"""The verifier as a program: one file, old Pythons, two languages, stable exit codes."""

from __future__ import annotations

import ast
import builtins
import os
import string
import subprocess
import sys
from pathlib import Path

import pytest

from support.operator_log import OperatorLog, flip
from verifier import liuhen_verify

PROGRAM = Path(liuhen_verify.__file__)


@pytest.fixture(scope="module")
def log():
    return OperatorLog().opened().fill(8)


@pytest.fixture
def directory(log, tmp_path):
    return log.publish(tmp_path / "log")


def run(*arguments, cwd, **environment):
    keep = {
        name: value for name, value in os.environ.items() if name not in {"LANG", "LC_ALL", "PYTHONPATH", "LANGUAGE"}
    }
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", cwd=cwd, env={**keep, "PYTHONUTF8": "1", **environment}, check=False,
    )  # fmt: skip


def test_the_program_needs_nothing_but_the_standard_library():
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in imported}
    assert roots - sys.stdlib_module_names == {"cryptography"}  # optional, tried at run time


def test_the_program_is_written_in_the_language_of_python_3_8():
    """The last Python of Windows 7. What it cannot read would end in exit code 1, which means that something was changed."""
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 8))
    assigned = [node.value for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    generics = [
        node.value.id
        for value in assigned
        for node in ast.walk(value)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
    ]
    assert not set(generics) & {"tuple", "list", "dict", "set", "frozenset", "type"}  # annotations are never evaluated
    names = {
        node.attr
        for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert not names & {"UTC", "batched", "pairwise", "bit_count"}


def test_it_runs_alone_from_any_directory(log, directory, tmp_path):
    done = run("log", directory, "--vkey", log.vkey, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Sound: all entries, signatures and the checkpoint agree; no change was found.\n")


def test_it_speaks_chinese_where_the_system_does(log, directory, tmp_path):
    done = run("log", directory, "--vkey", log.vkey, cwd=tmp_path, LANG="zh_CN.UTF-8")
    assert "完好" in done.stdout
    assert "Sound" in run("log", directory, "--vkey", log.vkey, "--lang", "en", cwd=tmp_path, LANG="zh_CN.UTF-8").stdout


@pytest.mark.parametrize(
    ("environment", "locale_name", "expected"),
    [
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "C"}, "", "zh"),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "", "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN"}, "zh_CN", "en"),
        ({}, "Chinese (Simplified)_China", "zh"),
        ({}, "zh_CN", "zh"),
        ({}, "de_DE", "en"),
        ({}, None, "en"),
    ],
)
def test_the_systems_language_is_asked_as_each_system_tells_it(monkeypatch, environment, locale_name, expected):
    """Windows tells it in no environment variable."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(liuhen_verify.locale, "getlocale", lambda: (locale_name, "UTF-8"))
    assert liuhen_verify.system_language() == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_key_file_may_be_written_as_editors_on_windows_do(log, directory, tmp_path, encoding):
    (tmp_path / "vkey.txt").write_text(f"{log.vkey}\r\n", encoding=encoding)
    done = run("log", directory, "--vkey", "vkey.txt", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_key_file_that_is_not_there_is_thought_of(directory, tmp_path):
    done = run("log", directory, "--vkey", "handed-over.txt", "--lang", "en", cwd=tmp_path)
    assert done.returncode == 2
    assert "a file that exists" in done.stdout


@pytest.mark.parametrize("failure", [ImportError, RuntimeError, type("PanicException", (BaseException,), {})])
def test_a_broken_cryptography_package_is_left_aside(monkeypatch, log, directory, failure):
    """A crash would end in exit code 1, which means that something was changed."""

    def broken(name, *arguments, **more):
        if name.startswith("cryptography"):
            raise failure
        return importing(name, *arguments, **more)

    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", broken)
    assert liuhen_verify.main(["log", str(directory), "--vkey", log.vkey]) == 0


def test_a_terminal_without_chinese_characters_is_no_obstacle(log, directory, tmp_path):
    done = run(
        "log", directory, "--vkey", log.vkey, "--lang", "zh", cwd=tmp_path, PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [[], ["log"], ["what"], ["log", ".", "--vkey", "x", "--lang", "fr"], ["compare", "a"]]
)
def test_wrong_arguments_cannot_decide(arguments, tmp_path):
    assert run(*arguments, cwd=tmp_path).returncode == 2


def test_tampering_outweighs_a_missing_file_and_an_unmet_wish(log, directory, tmp_path):
    flip(directory / "tile/0/000.p/8", 0)
    (directory / "tile/entries/000.p").joinpath("3").write_bytes(b"")
    (directory / "tile/1").mkdir()
    done = run("log", directory, "--vkey", log.vkey, "--signatures", "none", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines.index(next(x for x in lines if "[FAILED]" in x)) < lines.index(
        next(x for x in lines if "[INCOMPLETE]" in x)
    )


def test_a_closed_pipe_is_no_traceback(log, directory, tmp_path):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), "log", str(directory), "--vkey", log.vkey],
        stdout=write_end, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("code", sorted(liuhen_verify.TEXTS))
def test_every_sentence_exists_in_both_languages_with_the_same_values(code):
    severity, chinese, english = liuhen_verify.TEXTS[code]
    fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (chinese, english)]
    assert severity in liuhen_verify.EXIT_CODES
    assert fields[0] == fields[1]
    assert not chinese.isascii()
    assert english.isascii()


def test_every_code_in_the_program_has_a_sentence_and_every_sentence_a_use():
    source = PROGRAM.read_text(encoding="utf-8")
    tree = ast.parse(source)
    table = next(node for node in tree.body if isinstance(node, ast.AnnAssign) and node.target.id == "TEXTS")
    rest = source.replace(ast.get_source_segment(source, table) or "", "")
    assert [code for code in liuhen_verify.TEXTS if f'"{code}"' not in rest] == []
