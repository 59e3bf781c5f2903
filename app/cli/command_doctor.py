"""``liuhen doctor``: what is missing or misconfigured, and the fix."""

from __future__ import annotations

import contextlib
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

import click

from api.verification import LastVerification, Verification
from app.cli.common import home_option, json_option, print_json, say, the_home
from app.control import connection_to
from app.home import Home
from app.promises import changed, weakened
from app.sandboxed import sandbox_trouble
from app.settings import S3StoreSettings, load
from app.web_services import health_parts_of
from app.wiring import opened
from assurance.health import health
from chain_of_custody import selftest
from documents.glyphs import font_folder
from evidence.clock import to_text
from evidence.errors import ConfigError, EvidenceError
from evidence.sandbox import network_isolation

_FIXES: Final = {
    "single-failure-domain": "Put the second store on another disk: storage.stores in config.toml.",
    "too-few": "Add a store on another disk or server.", "weak-protection": "Run the freezing unit, or as root.",
    "lies-in-memory": "Give the store a folder on a disk (storage.stores path), then `liuhen storage init`.",
    "unsynchronised": "Enable time synchronisation (systemd-timesyncd or chrony).", "missing": "apt-get install ffmpeg",
    "nearly-full": "Make room or add a disk.", "floor-reached": "Make room or add a disk.",
    "unavailable": "Mount the disk or start the server it lies on.",
    "store-credentials": "Put valid keys into the store's key files; `liuhen storage check` tells what is refused.",
    "store-clock": "Set the clocks (NTP); `liuhen storage check` tells the difference.",
    "backup-overdue": "liuhen keys backup DIR --escrow, on another medium.",
    "not-backed-up": "liuhen keys backup DIR --escrow, on another medium.",
    "does-not-open": "See docs/runbooks/lost-passphrase.md.",
    "beside-the-footage": "Keep the passphrase elsewhere: storage.encryption.passphrase_file, or encrypt the disk.",
    "missing-there": "Run the service: it brings them back. See docs/runbooks/lost-key.md.",
    "readable": "Name a tmpfs or an encrypted volume: storage.encryption.plain_scratch.",
    "swap-open": "Encrypt the swap area, or switch it off.",
    "open": "See `Findings` in the pages.", "seal-behind": "Look at the service's journal.",
}  # fmt: skip


#: How a line about the last verification looks, and what to do.
_VERDICTS: Final = {
    "good": ("ok", ""), "policy-unmet": ("warn", "See `liuhen verify`: copies or failure domains are missing."),
    "tampered": ("bad", "Run `liuhen verify`: it names what was changed or lost."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    level: str
    what: str
    detail: str
    fix: str = ""


def _machine() -> Iterator[_Line]:
    yield _Line(
        "ok" if sys.version_info >= (3, 11) else "bad",
        "Python",
        sys.version.split()[0],
        "" if sys.version_info >= (3, 11) else "Python 3.11 or newer.",
    )
    for program, package in (
        ("ffmpeg", "ffmpeg"),
        ("ffprobe", "ffmpeg"),
        ("setpriv", "util-linux"),
        ("prlimit", "util-linux"),
    ):
        found = shutil.which(program)
        yield _Line(
            "ok" if found else "bad", program, found or "missing", "" if found else f"apt-get install {package}"
        )
    burner = shutil.which("xorriso")
    yield _Line(
        "ok" if burner else "warn", "xorriso", burner or "missing: no discs can be made here",
        "" if burner else "apt-get install xorriso",
    )  # fmt: skip
    yield _fonts()
    yield _sandbox()
    yield _Line("ok", "self-test", f"{selftest.run()} cryptographic checks passed")


def _fonts() -> _Line:
    """Without them no document can be printed."""
    try:
        return _Line("ok", "fonts", str(font_folder()))
    except ConfigError as error:
        return _Line("bad", "fonts", error.what, "apt-get install fonts-noto-cjk")


def _sandbox() -> _Line:
    """Found out by starting something in it, as this account; the service says at its start whether it can too."""
    why = sandbox_trouble()
    if why:
        return _Line(
            "bad", "sandbox", f"no media program can be started: {why}", "See docs/runbooks/install-with-systemd.md."
        )
    if not network_isolation():
        return _Line(
            "warn", "sandbox", "network not taken away",
            "Allow user namespaces (kernel.unprivileged_userns_clone=1).",
        )  # fmt: skip
    return _Line("ok", "sandbox", "no network for media programs")


def _secrets(home: Home) -> Iterator[_Line]:
    """Key files of buckets that more than their owner and group can read; our own keys are refused when they are."""
    with contextlib.suppress(EvidenceError, OSError):  # what is wrong with the settings is told by the home's own line
        for store in load(home.root).storage.stores:
            if isinstance(store, S3StoreSettings):
                for path in (store.access_key_file, store.secret_key_file):
                    if path.stat().st_mode & stat.S_IRWXO:
                        yield _Line("bad", "secret", f"{path} can be read by everybody", f"chmod o= {path}")


def _serve(home: Home, serving: bool) -> str:
    return "" if serving else f"liuhen serve --home {home.root}"


def _verified(last: Verification | None) -> _Line:
    """The newest whole verification, by whomever: damage that was found stays told until one is good again."""
    if last is None:
        return _Line("warn", "verification", "never run", "liuhen verify")
    detail = f"{last.verdict} at {to_text(last.at)}: {last.findings} findings, {last.copies} copies"
    if last.error or last.code:
        detail = f"did not come to its end at {to_text(last.at)}: {last.error or last.code}"
    level, fix = _VERDICTS.get(last.verdict, ("unknown", "liuhen verify"))
    return _Line(level, "verification", detail, fix)


def _home(home: Home) -> Iterator[_Line]:
    try:
        with opened(home) as house, connection_to(home.socket) as service:
            house.probe_stores()
            found = health(health_parts_of(house, None))
            last = LastVerification(house.catalogue).get()
            weak, changes = weakened(house.settings), changed(house.catalogue, house.settings)
            serving = service is not None
    except EvidenceError as error:
        yield _Line("bad", "home", error.what, error.todo)
        return
    yield _Line("ok" if serving else "warn", "service", "running" if serving else "not running", _serve(home, serving))
    yield _verified(last)
    for setting in weak:
        yield _Line("warn", "promise", f"less than the default: {setting}", "docs/settings.md says what it gives up.")
    for change in changes:
        yield _Line(
            "warn", "settings", f"not entered in the log yet: {change}", "The service enters it at its next start."
        )
    for check in found.checks:
        if check.name == "jobs":  # belongs to the service's process; the line above tells of it
            continue
        values = " ".join(f"{name}={value}" for name, value in check.values.items())
        detail = " ".join(part for part in (check.subject, check.reason, values) if part)
        fix = "" if check.level == "ok" else _FIXES.get(check.reason, "")
        yield _Line(str(check.level), check.name, detail, fix)


@click.command()
@home_option
@json_option
def doctor(home: str | None, *, as_json: bool) -> None:
    """Tell what is missing or misconfigured on this machine and in this home, and how to mend it. Exit status 3 for trouble."""
    target = the_home(home)
    lines = [*_machine(), *_secrets(target), *_home(target)]
    if as_json:
        print_json([asdict(line) for line in lines])
    else:
        marks = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "red"), "unknown": ("?", "cyan")}
        for line in lines:
            mark, colour = marks[line.level]
            click.secho(f"{mark} {line.what}: {line.detail}" + (f"  → {line.fix}" if line.fix else ""), fg=colour)
        click.echo(
            say("Nothing is wrong.") if all(line.level == "ok" for line in lines) else say("See the marked lines.")
        )
    raise click.exceptions.Exit(3 if any(line.level == "bad" for line in lines) else 0)
