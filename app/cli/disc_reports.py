"""How ``liuhen disc`` tells of sets, discs and read-backs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from app.cli.common import say
from catalogue.matters import MatterRow
from discs.readback import Outcome, ReadBack
from evidence.clock import to_text

_OUTCOMES = {
    Outcome.CHANGED: "changed", Outcome.UNREADABLE: "cannot be read", Outcome.MISSING: "missing",
    Outcome.UNLISTED: "not in the list", Outcome.GOOD: "good",
}  # fmt: skip


def set_answer(row: MatterRow, discs: Sequence[MatterRow]) -> dict[str, Any]:
    """A set as JSON."""
    return {
        "id": row.id, "number": row.number, "state": row.state, "title": row.words.get("title", ""),
        "case_number": row.words.get("case_number", ""), "medium": row.facts.get("medium", ""),
        "copies": row.facts.get("copies", 2), "discs_planned": row.facts.get("discs", 0), "files": row.facts.get("files", 0),
        "size_bytes": row.facts.get("bytes", 0), "manifest_sha256": row.facts.get("manifest_sha256", ""),
        "discs": [disc_answer(one) for one in discs],
    }  # fmt: skip


def disc_answer(row: MatterRow) -> dict[str, Any]:
    """A disc as JSON."""
    return {
        "id": row.id, "number": row.number, "state": row.state, "disc": row.facts.get("disc", 0),
        "discs": row.facts.get("discs", 0), "copy": row.facts.get("copy", ""),
        "image_sha256": row.facts.get("image_sha256", ""), "manifest_sha256": row.facts.get("manifest_sha256", ""),
        "read_at": row.facts.get("read_at", ""), "next_check": row.facts.get("next_check", ""),
        "due_at": to_text(row.due_at) if row.due_at else "", "damage": row.facts.get("damage", []),
    }  # fmt: skip


def check_answer(read: ReadBack, *, good: bool) -> dict[str, Any]:
    """A read-back as JSON."""
    return {
        "good": good, "sectors": read.sectors, "sha256": read.sha256,
        "unreadable": [{"sector": start, "count": count} for start, count in read.unreadable],
        "wrong": [{"sector": start, "count": count} for start, count in read.wrong],
        "damaged": [
            {"path": one.path, "outcome": one.outcome.value, "bytes": [list(place) for place in one.places]}
            for one in read.damaged
        ],
    }  # fmt: skip


def print_check(read: ReadBack, *, good: bool) -> None:
    """A read-back for a person."""
    if good:
        files = sum(one.outcome is Outcome.GOOD for one in read.files)
        click.echo(say("Good: {sectors} sectors and {files} files read back", sectors=read.sectors, files=files))
        return
    click.secho(say("Damaged: use the other copy and make this one again"), fg="red")
    for one in read.damaged:
        places = ", ".join(f"{low}-{high}" for low, high in one.places[:8])
        click.echo("\t".join([one.path, say(_OUTCOMES[one.outcome]), places]))
    for start, count in (*read.unreadable, *read.wrong)[:16]:
        click.echo(say("Sectors {first} to {last}", first=start, last=start + count - 1))
