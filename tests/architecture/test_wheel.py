"""The wheel holds everything the program needs and nothing else."""

import fnmatch
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from support.repository import ROOT, files, project, rooms


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = target.glob("*.whl")
    return zipfile.Path(built)


def names(wheel: zipfile.Path) -> set[str]:
    return set(wheel.root.namelist())


def test_every_file_of_every_room_is_inside(wheel: zipfile.Path):
    ours = {path.relative_to(ROOT).as_posix() for path in files() if path.relative_to(ROOT).parts[0] in rooms()}
    assert ours - names(wheel) == set()


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("templates", "api/*.html"),
        ("static files", "api/web/static/*.css"),
        ("third-party pages' files", "api/web/static/vendor/*/LICENSE"),
        ("translations", "*.po"),
        ("migrations", "catalogue/migrations/versions/*.py"),
        ("driver sheets", "devices/*/quality.toml"),
    ],
)
def test_data_files_are_inside(wheel: zipfile.Path, kind: str, pattern: str):
    ours = {path.relative_to(ROOT).as_posix() for path in files() if path.relative_to(ROOT).parts[0] in rooms()}
    expected = set(fnmatch.filter(ours, pattern))
    assert expected, f"the repository has no {kind}"
    assert expected <= names(wheel)


def test_nothing_of_tests_benchmarks_or_tools_is_inside(wheel: zipfile.Path):
    allowed = {*rooms(), f"liuhen-{project()['project']['version']}.dist-info"}
    assert {name.split("/")[0] for name in names(wheel)} == allowed
    assert [name for name in names(wheel) if Path(name).name.startswith(("test_", "conftest"))] == []
    assert [name for name in names(wheel) if name.endswith((".pyc", ".db", ".pem"))] == []


def test_the_console_script_and_the_licence_are_inside(wheel: zipfile.Path):
    info = f"liuhen-{project()['project']['version']}.dist-info"
    scripts = ConfigParser()
    scripts.read_string(wheel.joinpath(info, "entry_points.txt").read_text("utf-8"))
    assert scripts["console_scripts"]["liuhen"] == "app.cli.main:main"
    assert f"{info}/licenses/LICENSE" in names(wheel)
