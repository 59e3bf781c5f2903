"""``liuhen verify``: log, every copy, catalogue against both."""

from __future__ import annotations

import click

from api.verification import LastVerification, of_report
from api.web import words
from app.cli.common import acting, home_option, identity_options, json_option, print_json, report_error, say, step_bar
from app.promises import changed, weakened
from app.web_services import auditor_of
from evidence.errors import EvidenceError
from evidence.ids import RecordingId

_COLOURS = {"good": "green", "policy-unmet": "yellow"}


@click.command()
@click.argument("recording", required=False)
@home_option
@json_option
@identity_options
def verify(recording: str | None, *, home: str | None, as_json: bool, login: str) -> None:
    """Check everything (or the copies of one RECORDING) by reading it back from its medium.

    Exit status 0 good, 1 tamper or loss found, 3 sound but a policy is not met, 30 a store could not be examined.
    """
    if recording is not None:
        _verify_one(home, login, RecordingId(recording), as_json=as_json)
        return
    report = None
    notes: list[tuple[str, str]] = []
    try:
        with acting(home, login, absent_ok=True) as (house, actor), step_bar(hidden=as_json) as bar:
            kept = LastVerification(house.catalogue)
            since = kept.begin()
            report = auditor_of(house).verify(actor, progress=bar)
            notes = [("weakened-setting", one) for one in weakened(house.settings)]
            notes += [("setting-not-entered", one) for one in changed(house.catalogue, house.settings)]
            kept.keep(of_report(report, at=house.clock.now().wall), since=since)
    except EvidenceError as error:
        # A damaged log takes no new entry, not even that somebody verified; the report is what tells why.
        if report is None or error.fatal:
            raise
        report_error(error, as_json=as_json)
    told = report.to_json()
    told["notes"] += [{"kind": kind, "recording": "", "store": "", "detail": detail} for kind, detail in notes]
    if as_json:
        print_json(told)
    else:
        counted = say(
            "{entries} entries, {recordings} recordings, {copies} copies; this verification found: {findings}, notes: {notes}",
            entries=report.entries, recordings=report.recordings, copies=report.copies, findings=len(told["findings"]),
            notes=len(told["notes"]),
        )  # fmt: skip
        for row in told["findings"]:
            click.secho(f"  {_kind(row)}  {row['recording']} {row['store']} {row['detail']}", fg="red")
        for row in told["notes"]:
            click.echo(f"  {say('Note')}: {_kind(row)}  {row['recording']} {row['store']} {row['detail']}")
        click.secho(
            f"{say(words.VERDICTS.get(report.verdict, report.verdict))}: {counted}",
            fg=_COLOURS.get(report.verdict, "red"),
        )
    raise click.exceptions.Exit(report.exit_code)


def _kind(row: dict[str, str]) -> str:
    """A finding's meaning in the reader's language, and its stable name."""
    kind = row["kind"]
    if kind == "weakened-setting":
        word = say("A setting promises less than the default")
    elif kind == "setting-not-entered":
        word = say("A setting is not the one that was entered last")
    else:
        word = say(words.FINDINGS.get(kind, kind))
    return f"{word} [{kind}]"


def _verify_one(home: str | None, login: str, recording: RecordingId, *, as_json: bool) -> None:
    with acting(home, login) as (house, actor):
        checks = auditor_of(house).verify_one(actor, recording)
    told = [{"store": check.store, "part": check.part, "outcome": check.outcome} for check in checks]
    if as_json:
        print_json(told)
    else:
        for check in told:
            click.echo(f"{check['store']}\t{check['part']}\t{check['outcome']}")
    outcomes = {check.outcome for check in checks}
    untold = outcomes <= {"good", "store-unavailable", "not-examined"}
    raise click.exceptions.Exit(0 if outcomes == {"good"} else 30 if untold else 1)
