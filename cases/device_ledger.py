"""The ledger of recorders as state assets (R5): long-term issue, authorised transfer, stock-taking, retirement.

An asset number belongs to one recorder for ever. Whose a recorder is changes by an approved transfer, never by handing it
on. A recorder is retired only when nothing of it is outstanding and a person has looked for what it still holds; it is never
read again.

Source: RULES R5 (art. 14; state-asset rules); docs/duty-records.md.
"""

from __future__ import annotations

import re
from typing import Final

from catalogue.matters import MatterFilter, MatterRow
from evidence.clock import to_text
from evidence.events import DeviceRegistered, DeviceRetired
from evidence.ids import AgentId, DeviceId, MatterId, UnitId
from evidence.model import Action, DeviceState
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
    Choice,
    Column,
    Field,
    FieldKind,
    Form,
    LinkRole,
    State,
    Tone,
    plain_number,
)
from matters.turn import Turn

ISSUE, RETIREMENT, STOCK_TAKING = "device-issue", "device-retirement", "stock-taking"
_ASSET: Final = re.compile(r"[0-9A-Za-z./_-]{1,40}")
#: Part of who asked for the transfer that waits.
_ASKER: Final = "asker"
_RECORDER: Final = LinkRole(role="recorder", word="Recorder", targets=("dev",), least=1, most=1)


def device_of(turn: Turn) -> DeviceId:
    """The recorder the matter is about."""
    [link] = turn.links("recorder")
    return DeviceId(link.target)


def _in_use(turn: Turn) -> None:
    if turn.uow.devices.get(device_of(turn)).state is not DeviceState.REGISTERED:
        turn.refuse("this recorder is not in use", todo="Register it first.")


# --- long-term issue ----------------------------------------------------------------------------------------------------
def _asset_number(turn: Turn) -> None:
    """One number, one recorder, for ever: also after the recorder was retired."""
    device = device_of(turn)
    number = str(turn.asked.words.pop("asset", "") or "")
    if not _ASSET.fullmatch(number):
        turn.refuse("an asset number is made of letters, digits and . / _ -", todo="Correct it.")
    for row in _issues(turn):
        if row.facts.get("asset_number") != number:
            continue
        of = {link.target for link in turn.uow.matters.links(row.id, role="recorder")}
        if str(device) not in of:
            turn.refuse(
                "the asset number {asset} belongs to another recorder ({number})", todo="Give it another.",
                asset=number, number=row.number,
            )  # fmt: skip
    turn.asked.facts["asset_number"] = number


def _issues(turn: Turn) -> list[MatterRow]:
    found: list[MatterRow] = []
    after: MatterId | None = None
    while page := turn.uow.matters.find(MatterFilter(kinds=(ISSUE,)), after=after, limit=200):
        found += page
        after = page[-1].id
    return found


def _not_issued(turn: Turn) -> None:
    held = turn.uow.matters.find(MatterFilter(kinds=(ISSUE,), open=True, target=str(device_of(turn))), limit=1)
    if held:
        turn.refuse(
            "this recorder is issued already: {number}",
            todo="Transfer it, or take it back first.",
            number=held[0].number,
        )


def _becomes_theirs(turn: Turn) -> None:
    """The recorder is the new holder's from now on: what it brings is theirs."""
    _give(turn, AgentId(str(turn.row.facts["holder"])), turn.row.facts.get("holder_unit"))


def _give(turn: Turn, holder: AgentId | None, unit: object) -> None:
    device = device_of(turn)
    row = turn.uow.devices.get(device)
    of = UnitId(str(unit)) if unit else row.unit
    changed = turn.uow.devices.update(
        device, officer=holder, unit=of, registered_by=turn.agent, registered_at=turn.now.wall
    )  # fmt: skip
    turn.record(
        DeviceRegistered(
            actor=turn.agent or "", device=device, driver=changed.driver, kind=changed.kind, vendor=changed.vendor,
            model=changed.model, serial_source=changed.serial_source, unit=of or "", serial=changed.serial,
            label=changed.label or None, officer=holder,
        )
    )  # fmt: skip


def _replace_holder(turn: Turn) -> None:
    """An approved transfer: the part goes over."""
    new = AgentId(str(turn.before.row.facts["next_holder"])) if turn.before is not None else None
    if new is None:
        turn.refuse("no transfer was asked for")
    if new == turn.agent:
        turn.refuse("nobody consents to their own request", todo="Let the leader in charge decide.")
    turn.asked.no_longer += [("holder", agent) for agent in turn.holders("holder")]
    turn.asked.persons.append(("holder", new))
    turn.asked.facts.update(
        {"holder": new, "holder_unit": turn.value("next_unit"), "next_holder": None, "next_unit": None}
    )


def _only_asker(turn: Turn) -> None:
    """Each transfer has its own asker, who does not approve it."""
    turn.asked.no_longer += [(_ASKER, agent) for agent in turn.holders(_ASKER)]


def _nobody_holds(turn: Turn) -> None:
    _give(turn, None, None)


ISSUE_FORM: Final = Form(
    kind=ISSUE, word="Long-term issue", words="Long-term issues", number=plain_number("PF"),
    states=(
        State(code="issued", word="Issued, to be signed for", tone=Tone.WARN),
        State(code="held", word="Issued and signed for", tone=Tone.GOOD),
        State(code="transfer", word="Transfer asked for", tone=Tone.WARN),
        State(code="returned", word="Handed back", final=True),
    ),
    persons={PROPOSER: "Issued by", _ASKER: "Proposed by", APPROVER: "Approved by", "holder": "Holder"},
    documents={"authority": "Authority", "signed": "Signed receipt"},
    opening=Act(
        name="issue", word="Issue", after="issued", action=Action.DEVICE_ISSUE, role=PROPOSER,
        fields=(
            Field(name="asset", word="Asset number", personal=True, required=True),
            Field(name="holder", word="Holder", kind=FieldKind.AGENT, required=True, part="holder"),
            Field(name="holder_unit", word="Department", kind=FieldKind.UNIT),
            Field(name="accessories", word="Accessories and condition", kind=FieldKind.WORDS, personal=True),
        ),
        links=(_RECORDER,), guards=(_in_use, _not_issued, _asset_number), effects=(_becomes_theirs,),
    ),
    acts=(
        Act(name="sign", word="Sign for it", before=("issued",), after="held", action=Action.DEVICE_CARRY, only=("holder",)),
        Act(
            name="ask-transfer", word="Ask for a transfer", before=("issued", "held"), after="transfer",
            action=Action.DEVICE_ISSUE, role=_ASKER, guards=(_only_asker,),
            fields=(
                Field(name="next_holder", word="New holder", kind=FieldKind.AGENT, required=True),
                Field(name="next_unit", word="Department", kind=FieldKind.UNIT),
                Field(name="transfer", word="Why", kind=FieldKind.WORDS, personal=True, required=True),
            ),
        ),
        Act(
            name="approve-transfer", word="Approve the transfer", before=("transfer",), after="issued",
            action=Action.EXCEPTION_REVIEW, role=APPROVER, never=("holder", PROPOSER, _ASKER), frozen=True,
            guards=(_replace_holder,), effects=(_becomes_theirs,),
        ),
        Act(
            name="refuse-transfer", word="Refuse the transfer", before=("transfer",), after="held",
            action=Action.EXCEPTION_REVIEW, never=(PROPOSER,),
            fields=(Field(name="refusal", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="return", word="Take it back", before=("issued", "held"), after="returned", action=Action.DEVICE_ISSUE,
            fields=(Field(name="condition_words", word="Condition", kind=FieldKind.WORDS, personal=True, required=True),),
            effects=(_nobody_holds,),
        ),
    ),
    see=Action.DEVICE_LIST, title="asset_number", group="Duty",
    computed=(
        Field(name="asset_number", word="Asset number"),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Asset number", name="asset_number"),
        Column(word="Recorder", name="links:recorder"), Column(word="Holder", name="person:holder"),
        Column(word="Department", name="holder_unit"), Column(word="Issued", name="opened_at"),
        Column(word="Issued by", name=f"person:{PROPOSER}"), Column(word="State", name="state"),
        Column(word="Handed back", name="closed_at"), Column(word="Accessories and condition", name="accessories"),
    ),
)  # fmt: skip


# --- retirement ---------------------------------------------------------------------------------------------------------
def _nothing_outstanding(turn: Turn) -> None:
    """Whatever it brought is stored and sealed, and nobody holds it."""
    device = device_of(turn)
    left = turn.uow.recordings.unsealed_of(device)
    if left:
        turn.refuse("{n} recordings of it are not handed in yet", todo="Dock it until everything is sealed.", n=left)
    held = turn.uow.matters.find(
        MatterFilter(kinds=(ISSUE, "shift", "damage-ticket"), open=True, target=str(device)), limit=1
    )  # fmt: skip
    if held:
        turn.refuse("something about it is open: {number}", todo="Close that first.", number=held[0].number)


def _retire(turn: Turn) -> None:
    device = device_of(turn)
    turn.uow.devices.update(device, state=DeviceState.RETIRED)
    turn.record(
        DeviceRetired(
            actor=turn.agent or "", device=device, matter=turn.matter, reason=str(turn.row.facts["reason"]),
            at=to_text(turn.now.wall),
        )
    )  # fmt: skip


RETIREMENT_FORM: Final = Form(
    kind=RETIREMENT, word="Retirement of a recorder", words="Retirements of recorders", number=plain_number("BF"),
    states=(
        State(code="proposed", word="Waits for approval", tone=Tone.WARN),
        State(code="retired", word="Retired", final=True), State(code="refused", word="Refused", tone=Tone.BAD, final=True),
    ),
    persons={PROPOSER: "Proposed by", APPROVER: "Approved by"},
    documents={"report": "Report", "destruction": "Proof of destruction"},
    opening=Act(
        name="propose", word="Propose retirement", after="proposed", action=Action.DEVICE_ISSUE, role=PROPOSER,
        fields=(
            Field(
                name="reason", word="Reason", kind=FieldKind.CHOICE, required=True,
                choices=(
                    Choice(code="worn", word="Worn out"), Choice(code="damaged", word="Not worth repairing"),
                    Choice(code="lost", word="Lost"), Choice(code="replaced", word="Replaced"),
                    Choice(code="other", word="Other"),
                ),
            ),
            Field(
                name="residue", word="Footage left on it", kind=FieldKind.CHOICE, required=True,
                choices=(
                    Choice(code="none", word="Looked for, none"), Choice(code="saved", word="Found and handed in"),
                    Choice(code="unreadable", word="It cannot be read any more"),
                    Choice(code="lost", word="The recorder is lost"),
                ),
            ),
            Field(
                name="residue_words", word="How it was looked for, and what becomes of the medium", kind=FieldKind.WORDS,
                personal=True, required=True,
            ),
        ),
        links=(_RECORDER,), guards=(_in_use, _nothing_outstanding),
    ),
    acts=(
        Act(
            name="approve", word="Approve", before=("proposed",), after="retired", action=Action.EXCEPTION_REVIEW, role=APPROVER,
            never=(PROPOSER,), frozen=True, guards=(_in_use, _nothing_outstanding), effects=(_retire,),
        ),
        Act(
            name="refuse", word="Refuse", before=("proposed",), after="refused", action=Action.EXCEPTION_REVIEW,
            never=(PROPOSER,), fields=(Field(name="refusal", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    see=Action.DEVICE_LIST, title="number", group="Duty",
    register=(
        Column(word="Number", name="number"), Column(word="Recorder", name="links:recorder"),
        Column(word="Reason", name="reason"),
        Column(word="Footage left on it", name="residue"), Column(word="Proposed by", name=f"person:{PROPOSER}"),
        Column(word="Approved by", name=f"person:{APPROVER}"), Column(word="State", name="state"),
        Column(word="Closed", name="closed_at"),
    ),
)  # fmt: skip


# --- stock-taking -------------------------------------------------------------------------------------------------------
def _expected(turn: Turn) -> list[str]:
    unit = turn.value("of_unit")
    return [
        str(row.id) for row in turn.uow.devices.all()
        if row.state is DeviceState.REGISTERED and (not unit or row.unit == unit)
    ]  # fmt: skip


def _count(turn: Turn) -> None:
    """What is expected is fixed when the counting begins."""
    turn.asked.facts["expected"] = [{"recorder": one} for one in _expected(turn)]


def _everything_seen(turn: Turn) -> None:
    """Each recorder that was expected was found or is told missing."""
    expected = {row["recorder"] for row in turn.value("expected") or ()}
    found = {link.target for link in turn.links("found")}
    missing = {link.target for link in turn.links("missing")}
    both, left = found & missing, expected - found - missing
    if both or left:
        turn.refuse(
            "{n} recorders were not looked for, {m} are both found and missing",
            todo="Enter each as found or missing.", n=len(left), m=len(both),
        )  # fmt: skip
    turn.asked.facts.update({"found": len(found), "missing": len(missing), "surplus": len(found - expected)})


STOCK_TAKING_FORM: Final = Form(
    kind=STOCK_TAKING, word="Stock-taking", words="Stock-takings", number=plain_number("PD"),
    states=(
        State(code="counting", word="Being counted", tone=Tone.WARN),
        State(code="counted", word="Waits for review", tone=Tone.WARN),
        State(code="closed", word="Closed", tone=Tone.GOOD, final=True),
    ),
    persons={PROPOSER: "Counted by", APPROVER: "Reviewed by"}, documents={"list": "Signed list"},
    opening=Act(
        name="begin", word="Begin a stock-taking", after="counting", action=Action.DEVICE_ISSUE, role=PROPOSER,
        fields=(
            Field(name="of_unit", word="Department", kind=FieldKind.UNIT, hint="Empty: all recorders"),
            Field(name="day", word="Day", kind=FieldKind.DATE, required=True),
        ),
        guards=(_count,),
    ),
    acts=(
        Act(
            name="count", word="Enter what was found", before=("counting",), action=Action.DEVICE_ISSUE, role=PROPOSER,
            links=(
                LinkRole(role="found", word="Found", targets=("dev",)),
                LinkRole(role="missing", word="Missing", targets=("dev",)),
            ),
        ),
        Act(
            name="finish", word="Finish counting", before=("counting",), after="counted", action=Action.DEVICE_ISSUE,
            role=PROPOSER,
            fields=(Field(name="remark", word="What follows", kind=FieldKind.WORDS, personal=True),), guards=(_everything_seen,),
        ),
        Act(
            name="close", word="Review and close", before=("counted",), after="closed", action=Action.EXCEPTION_REVIEW,
            role=APPROVER, never=(PROPOSER,), frozen=True,
            fields=(Field(name="review", word="Remark", kind=FieldKind.WORDS, personal=True),),
        ),
    ),
    see=Action.DEVICE_LIST, title="number", group="Duty",
    computed=(
        Field(
            name="expected", word="Expected", kind=FieldKind.TABLE, columns=(Choice(code="recorder", word="Recorder"),)
        ),
        Field(name="found", word="Found", kind=FieldKind.NUMBER),
        Field(name="missing", word="Missing", kind=FieldKind.NUMBER),
        Field(name="surplus", word="Not expected", kind=FieldKind.NUMBER),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Day", name="day"), Column(word="Department", name="of_unit"),
        Column(word="Found", name="found"), Column(word="Missing", name="missing"), Column(word="Not expected", name="surplus"),
        Column(word="Counted by", name=f"person:{PROPOSER}"), Column(word="Reviewed by", name=f"person:{APPROVER}"),
        Column(word="State", name="state"),
    ),
)  # fmt: skip

FORMS: Final = (ISSUE_FORM, STOCK_TAKING_FORM, RETIREMENT_FORM)
