"""What tests of commands share."""

import pytest

from support.program import Program


@pytest.fixture
def station(tmp_path):
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    yield program
    program.close()
