"""Modules and functions stay small enough to be read at one sitting, and say what they are for."""

import ast
from collections.abc import Iterator
from pathlib import Path

from support.repository import ROOT, python_sources

MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
DOCUMENTED_MIN = 0.95
#: One file by design (a court copies one file), and a schema that is one long list.
WHOLE = {"verifier/liuhen_verify.py"}
LISTS = "catalogue/migrations/versions/"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: explaining more must not count against it."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def public_things(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Name and 'has a docstring' of the module and of every public class, function and method."""
    yield "", ast.get_docstring(tree) is not None

    def below(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, bool]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                yield prefix + node.name, ast.get_docstring(node) is not None
                if isinstance(node, ast.ClassDef):
                    yield from below(node.body, f"{prefix}{node.name}.")

    yield from below(tree.body, "")


def test_no_module_is_longer_than_600_lines():
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in python_sources()}
    assert {name: n for name, n in lengths.items() if n > MODULE_LINES_MAX and name not in WHOLE} == {}


def test_no_function_is_longer_than_70_lines():
    long = {
        f"{name_of(path)}:{function.name}": code_lines(function)
        for path in python_sources()
        for function in functions(ast.parse(path.read_text("utf-8")))
        if code_lines(function) > FUNCTION_LINES_MAX and not name_of(path).startswith(LISTS)
    }
    assert long == {}


def test_public_things_are_documented():
    things = {
        f"{name_of(path)}:{name}": documented
        for path in python_sources()
        for name, documented in public_things(ast.parse(path.read_text("utf-8")))
    }
    missing = sorted(name for name, documented in things.items() if not documented)
    assert len(things) > 1000
    assert 1 - len(missing) / len(things) >= DOCUMENTED_MIN, missing
