"""What commands print where the terminal cannot show everything."""

import json
import os
import subprocess

import pytest

from support.program import LIUHEN, Program

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    program = Program(tmp_path_factory.mktemp("output") / "home")
    program.whole = False
    program.init()
    program.json("user", "create", "王小明", "--login", "wang")
    yield program
    program.close()


def printed(program: Program, *arguments: str, encoding: str) -> bytes:
    environment = {**program.environment(), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([str(LIUHEN), *arguments], env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "gb18030"])
def test_json_is_utf_8_whatever_the_terminal_speaks(station, encoding):
    told = json.loads(printed(station, "user", "list", "--json", encoding=encoding).decode("utf-8"))
    assert "王小明" in {person["name"] for person in told}


def test_a_terminal_without_chinese_letters_shows_their_numbers_and_nothing_breaks(station):
    assert rb"\u738b\u5c0f\u660e" in printed(station, "user", "list", encoding="latin-1")


def test_a_chinese_terminal_gets_its_own_letters(station):
    assert "王小明".encode("gb18030") in printed(station, "user", "list", encoding="gb18030")


def test_a_path_that_is_no_text_is_told_without_a_defect(station):
    name = os.fsencode(str(station.home)) + b"/\xff\xfe"
    done = subprocess.run(
        [str(LIUHEN), "ingest", name], env=station.environment(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert b"is no folder" in done.stderr
