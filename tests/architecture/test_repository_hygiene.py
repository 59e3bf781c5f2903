"""Nothing in the repository ties it to one machine, to one registry, or leaves work for later."""

import ast
import contextlib
import re

import pytest

from support.repository import ROOT, files, python_sources

#: Put together here, so that this file does not hold what it looks for.
MACHINE_PATHS = ["/" + "work/", "/" + "root/"]
REGISTRIES = ["pypi" + ".org", "python" + "hosted", "npm" + "js", "proxy.go" + "lang.org", "index" + "-url = "]
LEFT_FOR_LATER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
SECRETS = re.compile("-----BEGIN (?:[A-Z]+ )?PRIV" + "ATE KEY-----")


def texts():
    for path in files():
        with contextlib.suppress(UnicodeDecodeError):  # pictures and broken artefacts of tests
            yield path.relative_to(ROOT).as_posix(), path.read_bytes().decode("utf-8")


def holding(words: list[str]) -> list[str]:
    return [f"{name}: {word}" for name, text in texts() for word in words if word in text]


def test_there_is_something_to_look_through():
    assert len(list(texts())) > 300


def test_no_file_names_a_path_of_one_machine():
    assert holding(MACHINE_PATHS) == []


def test_no_file_names_the_host_of_a_package_registry():
    assert holding(REGISTRIES) == []


def test_no_source_leaves_work_for_later():
    assert [name for name, text in texts() if name.endswith(".py") and LEFT_FOR_LATER.search(text)] == []


@pytest.mark.parametrize("path", python_sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_function_is_a_stub(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            assert not (isinstance(raised, ast.Name) and raised.id == "NotImplementedError"), node.lineno


def test_no_private_key_is_committed():
    assert [name for name, text in texts() if SECRETS.search(text)] == []


def test_no_large_binary_is_committed():
    assert [path.name for path in files() if path.stat().st_size > 2 << 20] == []
