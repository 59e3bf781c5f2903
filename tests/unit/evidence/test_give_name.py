"""A finished file or folder gets its name without ever replacing one, also where the file system cannot promise that itself."""

import errno

import pytest

from evidence import durable
from evidence.errors import BlobConflictError, StoreError


@pytest.fixture(params=["atomic", "by-looking"])
def system(request, monkeypatch):
    if request.param == "by-looking":

        class Old:
            @staticmethod
            def renameat2(*_):
                durable.ctypes.set_errno(errno.EINVAL)
                return -1

        monkeypatch.setattr(durable, "_libc", Old)
    return request.param


@pytest.mark.usefixtures("system")
def test_a_folder_and_a_file_get_their_names(tmp_path):
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "a").write_bytes(b"a")
    durable.give_name(tmp_path / ".part", tmp_path / "whole")
    (tmp_path / ".b").write_bytes(b"b")
    durable.give_name(tmp_path / ".b", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "whole"]


@pytest.mark.usefixtures("system")
def test_nothing_is_replaced(tmp_path):
    (tmp_path / ".part").mkdir()
    for name in ("folder", "link", "file"):
        target = tmp_path / name
        if name == "folder":
            target.mkdir()  # a plain rename would replace an empty folder
        elif name == "link":
            target.symlink_to("nowhere")
        else:
            target.write_bytes(b"x")
        with pytest.raises(BlobConflictError):
            durable.give_name(tmp_path / ".part", target)
        assert (tmp_path / ".part").is_dir()


@pytest.mark.usefixtures("system")
def test_what_is_not_there_is_our_error(tmp_path):
    with pytest.raises(StoreError):
        durable.give_name(tmp_path / "none", tmp_path / "whole")
