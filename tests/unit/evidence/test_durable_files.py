"""Durable files: order of syscalls, never a replaced name, errors of ours."""

import hashlib
import io
import os

import pytest

from evidence import durable, sandbox
from evidence.digest import DigestSuite
from evidence.errors import (
    BlobConflictError,
    HomeLockedError,
    NotDurableError,
    SandboxError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.transfer import transfer


def test_publish_replaces_atomically_and_leaves_no_temporary(tmp_path):
    target = tmp_path / "a" / "b" / "file"
    durable.publish(target, b"one")
    durable.publish(target, b"two")
    assert target.read_bytes() == b"two"
    assert [p.name for p in target.parent.iterdir()] == ["file"]


def test_publish_new_accepts_the_same_bytes_and_refuses_others(tmp_path):
    target = tmp_path / "file"
    assert durable.publish_new(target, b"one") is True
    assert durable.publish_new(target, b"one") is False
    with pytest.raises(BlobConflictError):
        durable.publish_new(target, b"two")
    assert target.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failed_fsync_is_fatal(tmp_path, monkeypatch):
    def broken(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(NotDurableError) as caught:
        durable.publish(tmp_path / "x", b"data")
    assert caught.value.fatal
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued_and_a_full_disk_is_named(monkeypatch):
    written = []

    def short(fd, data):
        if len(written) > 2:
            raise OSError(28, "No space left on device")
        written.append(bytes(data[:3]))
        return min(3, len(data))

    monkeypatch.setattr(os, "write", short)
    durable.write_all(99, b"123456")
    assert written == [b"123", b"456"]
    with pytest.raises(StoreFullError):
        durable.write_all(99, b"123456")


def test_reading_from_the_medium_gives_every_byte(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(100_001))
    digest = hashlib.sha256()
    for chunk in durable.read_from_medium(path, chunk_bytes=4096):
        digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_directories_on_one_device_are_one_failure_domain(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert durable.failure_domain(tmp_path / "a") == durable.failure_domain(tmp_path / "b")
    assert durable.failure_domain(tmp_path) != durable.failure_domain(__import__("pathlib").Path("/dev/shm"))


def test_a_lock_is_exclusive_and_ends_with_its_block(tmp_path):
    lock = tmp_path / "run" / "lock"
    with durable.exclusive_lock(lock), pytest.raises(HomeLockedError), durable.exclusive_lock(lock):
        pass
    with durable.exclusive_lock(lock):
        pass


def test_transfer_feeds_sink_and_all_digests_every_byte_in_order():
    data = os.urandom(3_000_001)
    suite, out, totals = DigestSuite(), bytearray(), []
    hashers = [suite.new("sha256"), suite.new("sm3")]
    count = transfer(io.BytesIO(data), out.extend, hashers, progress=totals.append, buffer_bytes=65_536)
    assert count == len(data) == totals[-1]
    assert bytes(out) == data
    assert hashers[0].hexdigest() == hashlib.sha256(data).hexdigest()
    assert hashers[1].hexdigest() == hashlib.new("sm3", data).hexdigest()


@pytest.mark.parametrize("where", ["source", "sink", "progress"])
def test_an_error_anywhere_stops_the_transfer_and_surfaces(where):
    class Source:
        reads = 0

        def readinto(self, buffer):
            self.reads += 1
            if where == "source" and self.reads == 3:
                raise StoreError("gone")
            assert self.reads < 1000, "the transfer did not stop"
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    def sink(chunk):
        if where == "sink":
            raise StoreError("full")

    def progress(total):
        if where == "progress" and total > 8192:
            raise StoreError("cancelled")

    with pytest.raises(StoreError):
        transfer(Source(), sink, [], progress=progress, buffer_bytes=4096)


def test_a_sandboxed_program_has_no_network_no_environment_and_no_second_chance():
    result = sandbox.run(["sh", "-c", "cat /proc/net/dev | tail -n +3 | cut -d: -f1; env"])
    text = result.untrusted_stdout.decode()
    assert "eth" not in text
    assert "USER=" not in text
    with pytest.raises(SandboxError, match="stopped after"):
        sandbox.run(["sh", "-c", "sleep 30 & sleep 30"], limits=sandbox.SandboxLimits(timeout_s=0.5))
    with pytest.raises(SandboxError, match="status 3"):
        sandbox.run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(SandboxError, match="not installed"):
        sandbox.run(["no-such-program"])
    assert sandbox.run(["sh", "-c", "exit 3"], check=False).returncode == 3


@pytest.mark.root
def test_a_program_that_root_sandboxes_can_read_but_neither_unfreeze_nor_mount(tmp_path):
    frozen = tmp_path / "frozen"
    frozen.write_bytes(b"evidence")
    frozen.chmod(0)
    os.chown(frozen, 4242, 4242)
    assert sandbox.run(["cat", str(frozen)]).untrusted_stdout == b"evidence"
    for attack in (
        ["chmod", "666", str(frozen)],
        ["sh", "-c", f"echo forged > {frozen}"],
        ["chattr", "-i", str(frozen)],
        ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)],
    ):
        with pytest.raises(SandboxError):
            sandbox.run(attack)
    assert frozen.read_bytes() == b"evidence"


def test_a_sandboxed_program_cannot_write_more_than_its_limit(tmp_path):
    with pytest.raises(SandboxError):
        sandbox.run(
            ["dd", "if=/dev/zero", f"of={tmp_path}/x", "bs=64k", "count=100"],
            limits=sandbox.SandboxLimits(file_bytes=1 << 20),
        )
    assert (tmp_path / "x").stat().st_size <= 1 << 20


def test_a_file_where_a_directory_should_be_is_an_error_of_ours(tmp_path):
    (tmp_path / "stores").write_bytes(b"")
    with pytest.raises(StoreError, match="no directory"):
        durable.make_dirs(tmp_path / "stores")
    with pytest.raises(StoreError):
        durable.make_dirs(tmp_path / "stores" / "primary")


def test_a_sandbox_whose_working_directory_is_gone_fails_with_our_error(tmp_path):
    with pytest.raises(SandboxError, match="cannot start"):
        sandbox.run(["true"], cwd=tmp_path / "gone")


def test_a_folder_that_vanished_makes_nothing_durable_and_says_so(tmp_path):
    with pytest.raises(StoreUnavailableError, match="cannot open gone"):
        durable.fsync_dir(tmp_path / "gone")


def test_a_lock_that_cannot_be_had_is_no_lock(tmp_path, monkeypatch):
    (tmp_path / "lock").mkdir()
    with pytest.raises(StoreError, match="cannot open the lock"), durable.exclusive_lock(tmp_path / "lock"):
        pass

    def without_locks(fd, how):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(durable.fcntl, "flock", without_locks)
    with pytest.raises(StoreError, match="cannot lock"), durable.exclusive_lock(tmp_path / "other"):
        pass


def test_a_file_that_cannot_be_compared_is_not_taken_for_the_same(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        durable.publish_new(tmp_path / "file", b"one")
