"""The units under the real systemd, installed as the runbook tells: what hardening forbids must not be what the service needs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import footage
from support.systemd_machine import REPOSITORY, machine

pytestmark = [pytest.mark.e2e, pytest.mark.root]
RUNBOOK = REPOSITORY / "docs/runbooks/install-with-systemd.md"


def commands(step: int) -> list[str]:
    """The shell lines of one step of the runbook."""
    text = re.split(r"^\d+\. ", RUNBOOK.read_text(), flags=re.MULTILINE)[step]
    return [line.strip() for line in text.splitlines() if line.startswith("       ")]


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A machine on which the runbook was followed up to the running service."""
    folder = tmp_path_factory.mktemp("systemd")
    with machine(folder) as at_work:
        at_work.run("mkdir /run/udev")
        for line in commands(2):
            if "udevadm control" in line:  # no daemon here to be told
                line = line.split(" && ")[0]
            at_work.run(f"cd {REPOSITORY}/systemd && {line}")
        at_work.run(
            "chown liuhen:liuhen /var/lib/liuhen && chmod 750 /var/lib/liuhen && rmdir /var/lib/liuhen/lost+found"
        )
        if Path(sys.base_prefix).is_relative_to("/root") or Path(sys.base_prefix).is_relative_to("/home"):
            for unit in ("liuhen", "liuhen-freeze"):  # this interpreter, not the service, lives in a home directory
                at_work.run(f"mkdir /etc/systemd/system/{unit}.service.d")
                at_work.run(
                    f"printf '[Service]\\nProtectHome=no\\n' > /etc/systemd/system/{unit}.service.d/python.conf"
                )
            at_work.run("systemctl daemon-reload")
        init = next(line for line in commands(4) if " init " in line)
        at_work.run(init.replace("<name>", "s1").replace("<bureau>/<station>", "example.org/s1"))
        at_work.run(next(line for line in commands(5) if line.startswith("systemctl enable")))
        at_work.until("test -S /var/lib/liuhen/run/control.sock")
        yield at_work


def test_the_service_takes_in_describes_and_proves_under_its_own_unit(station):
    station.run("mkdir -p /srv/card/DCIM")
    for sample in (footage.phone_mp4(), footage.talking_mpeg()):
        station.run(f"cp {sample} /srv/card/DCIM/ && chmod -R a+rX /srv/card")
    done = json.loads(station.liuhen("ingest", "/srv/card", "--register", "--json").stdout)
    assert len(done["recordings"]) == 2
    for row in done["recordings"]:
        assert row["sealed"]
        assert row["verdict"] == "intact", station.journal()
    assert json.loads(station.liuhen("verify", "--json").stdout)["verdict"] == "good"
    assert station.run("systemctl is-active liuhen").stdout.strip() == "active"


def test_what_was_stored_is_frozen_by_the_freezing_unit(station):
    station.run("mkdir -p /srv/second/DCIM")
    station.run(f"cp {footage.talking_avi()} /srv/second/DCIM/ && chmod -R a+rX /srv/second")
    station.liuhen("ingest", "/srv/second", "--register", "--json")
    station.run("systemctl start liuhen-freeze")
    objects = "/var/lib/liuhen/stores/*/objects -type f"
    flags = station.run(f"find {objects} -exec lsattr {{}} +").stdout.splitlines()
    assert flags
    assert all("i" in line.split()[0] for line in flags)


def test_the_pages_answer_where_the_settings_say(station):
    asked = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/login')"
    station.until(f'python3 -c "{asked}"')


@pytest.fixture
def card(station, tmp_path):
    """A loop device with a recorder's file system, treated by our rules as if it hung on USB."""
    (tmp_path / "content/DCIM").mkdir(parents=True)
    (tmp_path / "content/DCIM/1.mp4").write_bytes(b"footage")
    image = tmp_path / "card.img"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(tmp_path / "content"), str(image)], check=True)
    rules = next((REPOSITORY / "systemd").glob("*-liuhen-docks.rules"))
    text = rules.read_text().replace('SUBSYSTEMS=="usb", ', "")
    station.run(f"cat > /etc/udev/rules.d/{rules.name} <<'X'\n{text}X")
    station.run("sed -i 's/block-sd r/block-loop r/' '/etc/systemd/system/liuhen-mount@.service'")
    device = subprocess.run(
        ["losetup", "-r", "-f", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    station.run(f"test -b {device} || mknod {device} b 7 {device.removeprefix('/dev/loop')}")
    yield Path(device).name
    subprocess.run(["losetup", "-d", device], check=True)


def test_a_docked_card_is_mounted_by_the_rules_and_seen_by_the_service(station, card):
    told = station.announce(card)
    assert f"SYSTEMD_WANTS=liuhen-mount@{card}.service" in told
    assert "UDISKS_IGNORE=1" in told
    assert f"blockdev --setro /dev/{card}" in told
    station.until(f"mountpoint -q /run/liuhen/mounts/{card}")
    assert station.run(f"runuser -u nobody -- ls /run/liuhen/mounts/{card}", check=False).returncode != 0
    scan = json.loads(station.liuhen("devices", "scan", "--json").stdout)
    assert any(each["address"].startswith(f"/run/liuhen/mounts/{card}") for each in scan["docked"])


def test_a_card_pulled_while_it_is_read_leaves_its_slot_free_for_the_next(station, card):
    station.announce(card)
    mounted, unit = f"/run/liuhen/mounts/{card}", f"liuhen-mount@{card}"
    station.until(f"mountpoint -q {mounted}")
    service = station.run("systemctl show -P MainPID liuhen").stdout.strip()
    reader = f"exec 5< {mounted}/DCIM/1.mp4; sleep 20"
    station.run(f"setsid nsenter -t {service} -m bash -c '{reader}' < /dev/null > /dev/null 2>&1 &")
    station.until("ls -l /proc/*/fd/5 2>/dev/null | grep -q DCIM/1.mp4")
    station.run(f"systemctl stop {unit}")
    assert station.run(f"mountpoint -q {mounted}", check=False).returncode != 0
    assert mounted not in station.run(f"cat /proc/{service}/mountinfo").stdout
    station.run(f"systemctl start {unit}")
    station.until(f"mountpoint -q {mounted}")
    station.run(f"systemctl stop {unit}")
