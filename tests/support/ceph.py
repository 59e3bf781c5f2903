"""A second real S3 server for `make test-ceph`: monitor, OSD and RADOS Gateway of Ceph as Debian has it, on loopback.

No systemd, no manager, no cephx: a throw-away cluster of one node with its data in one sparse file. It needs root and the
packages of ``tools/system-packages.sh ceph``. A server that does not start is a failure, never a skip.
"""

from __future__ import annotations

import atexit
import functools
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

from support.seaweed import Server, _certificate, _free_ports

READY_S = 120

_CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_old}]
mon initial members = a
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}/run
log file = {folder}/log/$name.log
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
keyring = {folder}/keyring
setuser match path =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon max pg per osd = 1000
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 2
mon data avail crit = 1
auth allow insecure global id reclaim = false
[mon.a]
mon data = {folder}/mon/a
host = localhost
[osd]
osd data = {folder}/osd/$id
osd objectstore = bluestore
bluestore block size = 4G
bluestore block create = true
bluestore fsck on mount = false
osd memory target = 939524096
osd max object name len = 4096
[client.rgw.a]
rgw data = {folder}/rgw
# Without keys there is nothing to encrypt with: the default asks for it and then waits for ever.
ms mon client mode = crc
rgw frontends = beast endpoint=127.0.0.1:{http} ssl_endpoint=127.0.0.1:{https} ssl_certificate={cert} ssl_private_key={key}
rgw dns name = localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
"""


class Cluster:
    """The processes of one cluster in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ceph-"))
        for name in ("mon", "osd/0", "rgw", "run", "log"):
            (self.folder / name).mkdir(parents=True)
        self.processes: list[subprocess.Popen] = []
        self.conf = self.folder / "ceph.conf"
        atexit.register(self.stop)

    def stop(self) -> None:
        """Kill, the gateway first (it would wait for a cluster that is gone), and forget."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> Server:
        mon, mon_old, http, https = _free_ports(4)
        cert, key = _certificate(self.folder)
        fsid = str(uuid.uuid4())
        values = {"folder": self.folder, "fsid": fsid, "mon": mon, "mon_old": mon_old, "http": http, "https": https}
        self.conf.write_text(_CONF.format(cert=cert, key=key, **values))
        self._monitor(fsid, f"[v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_old}]")
        self._osd()
        self._spawn("radosgw", "-n", "client.rgw.a", "-f")
        address = f"http://127.0.0.1:{http}"
        self._wait(lambda: _answers(address))
        access, secret = f"TEST{secrets.token_hex(8).upper()}", secrets.token_hex(20)
        self._run(
            "radosgw-admin", "user", "create", "--uid=test", "--display-name=test",
            f"--access-key={access}", f"--secret-key={secret}",
        )  # fmt: skip
        return Server(address, f"https://localhost:{https}", access, secret, cert, self.folder, self.processes[-1].pid)

    def _monitor(self, fsid: str, address: str) -> None:
        keyring, monmap = self.folder / "keyring", self.folder / "monmap"
        tool = ("ceph-authtool", keyring)
        self._run(*tool, "--create-keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "client.rgw.a"):
            self._run(*tool, "--gen-key", "-n", name, "--cap", "mon", "allow *", "--cap", "osd", "allow *")
        self._run("monmaptool", "--create", "--clobber", "--addv", "a", address, "--fsid", fsid, monmap, bare=True)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._spawn("ceph-mon", "-i", "a", "-f")
        self._run("ceph", "--connect-timeout", "60", "mon", "stat")

    def _osd(self) -> None:
        identity = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identity)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._spawn("ceph-osd", "-i", "0", "-f")
        self._wait(lambda: "1 up" in self._run("ceph", "osd", "stat"))

    def _run(self, program: str, *arguments: object, bare: bool = False) -> str:
        conf = [] if bare or program == "ceph-authtool" else ["-c", str(self.conf)]
        done = subprocess.run(
            [program, *conf, *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S,
        )
        if done.returncode:
            raise RuntimeError(f"{program} {arguments}: {done.stderr[-2000:]}")
        return done.stdout

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self.folder / "log" / f"{program}.out").open("wb") as out:
            command = ["setpriv", "--pdeathsig", "KILL", "--", program, "-c", str(self.conf), *arguments]
            self.processes.append(
                subprocess.Popen(
                    command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )  # fmt: skip

    def _wait(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while not what():
            ended = [process.args for process in self.processes if process.poll() is not None]
            if ended or time.monotonic() > end:
                said = "".join(path.read_text(errors="replace")[-1000:] for path in (self.folder / "log").glob("*.out"))
                raise RuntimeError(f"the cluster does not start ({ended}): {said}")
            time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


@functools.cache
def shared() -> Server:
    """The process's cluster, started at the first call."""
    return Cluster().start()
