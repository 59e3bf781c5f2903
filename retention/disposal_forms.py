"""The three kinds of matters of clearing: the batch, the determination that lets the service clear, and the stop.

The order of a batch: proposed, looked through, stated to have no preservation value, approved by somebody else on a frozen view,
notice, cleared item by item, certificate. In mode ``automatic`` the determination takes the place of the review and the approval;
everything after it is the same.

Source: RULES R10; docs/disposal.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from evidence.model import Action
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
from retention.disposal_batch import (
    BY_DETERMINATION,
    REVIEWER,
    SUPERVISOR,
    begin_notice,
    by_determination,
    count_up,
    freeze,
    keep_rest,
    look_again,
    require_lapsed,
    require_list,
    require_over,
    require_own_unit,
    require_untouched,
    take_out,
    take_out_each,
)
from retention.disposal_list import BATCH, ITEM, LEFT, moment
from retention.schedule import DisposalMode

#: States of a batch.
PROPOSED, REVIEW, AWAITING, RETURNED = "proposed", "under-review", "awaiting-approval", "returned"
NOTICE, EXECUTING, CERTIFYING = "notice", "executing", "certifying"
CLEARED, PARTLY, WITHDRAWN, RESTORED = "cleared", "partly", "withdrawn", "restored"
#: Acts that the service does.
APPROVE_BY_DETERMINATION, BEGIN, LEAVE_OUT, SETTLE = "approve-by-determination", "begin", "leave-out", "settle"
LAPSE: Final = "lapse"
CLOSE_CLEARED, CLOSE_PARTLY, CLOSE_EMPTY = "close-cleared", "close-partly", "close-empty"
#: Documents of a batch.
CERTIFICATE, CERTIFICATE_JSON = "certificate", "certificate-json"

_GROUND: Final = Field(
    name="ground", word="Ground", kind=FieldKind.CHOICE, required=True,
    choices=(
        Choice(code="needed", word="Still needed for work"),
        Choice(code="complaint", word="A complaint or petition may follow"),
        Choice(code="case", word="Belongs to a case or procedure"),
        Choice(code="unsure", word="Not sure what it shows"),
        Choice(code="other", word="Another reason"),
    ),
)  # fmt: skip
_REASON: Final = Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True)
_ONE: Final = Field(
    name="recording", word="Recording", kind=FieldKind.RECORDING,
    hint="One recording of the list; several can be marked in the list itself.",
)  # fmt: skip
_ITEMS: Final = LinkRole(role=ITEM, word="Recordings to be cleared", needs=Action.DISPOSAL_SEE)


def _deadline(turn: Turn) -> datetime | None:
    """While the notice runs: its end."""
    if (turn.act.after or turn.row.state) != NOTICE:
        return None
    return moment(str(turn.value("notice_until") or ""))


_BY_PERSONS: Final = (
    Act(
        name="take-up", word="Begin the review", before=(PROPOSED, RETURNED), after=REVIEW,
        action=Action.DISPOSAL_PROPOSE, role=REVIEWER,
    ),
    Act(
        name="take-out", word="Take out of the list", before=(PROPOSED, REVIEW, RETURNED), action=Action.DISPOSAL_PROPOSE,
        role=REVIEWER, fields=(_ONE, _GROUND, _REASON), links=(_ITEMS,), guards=(take_out,),
    ),
    Act(
        name="finish-review", word="State that the rest has no preservation value", before=(REVIEW,), after=AWAITING,
        action=Action.DISPOSAL_PROPOSE, only=(REVIEWER,), guards=(look_again,),
        fields=(
            Field(
                name="statement", word="Why the footage has no preservation value", kind=FieldKind.WORDS, required=True,
                personal=True, hint="What was looked at, and what the determination rests on.",
            ),
        ),
    ),
    Act(
        name="approve", word="Approve the clearing", before=(AWAITING,), after=NOTICE, action=Action.DISPOSAL_APPROVE,
        role=APPROVER, never=(PROPOSER, REVIEWER), frozen=True, guards=(begin_notice,),
        fields=(Field(name="opinion", word="Opinion", kind=FieldKind.WORDS, personal=True),),
    ),
    Act(
        name="return", word="Return to the reviewer", before=(AWAITING,), after=RETURNED, action=Action.DISPOSAL_APPROVE,
        never=(PROPOSER, REVIEWER), fields=(_REASON,),
    ),
    Act(
        name="withdraw", word="Withdraw the batch", before=(PROPOSED, REVIEW, RETURNED, AWAITING), after=WITHDRAWN,
        action=Action.DISPOSAL_PROPOSE, fields=(_REASON,),
    ),
    Act(
        name="keep", word="Keep a recording after all", before=(AWAITING, NOTICE, EXECUTING), action=Action.DISPOSAL_STOP,
        fields=(_ONE, _GROUND, _REASON), links=(_ITEMS,), guards=(take_out,),
    ),
    Act(
        name="keep-rest", word="Keep everything that is not cleared yet", before=(EXECUTING,), action=Action.DISPOSAL_STOP,
        fields=(_GROUND, _REASON), guards=(keep_rest,),
    ),
    Act(
        name="restore", word="Keep the whole batch after all", before=(AWAITING, NOTICE), after=RESTORED,
        action=Action.DISPOSAL_STOP, fields=(_REASON,), guards=(require_untouched,),
    ),
    Act(
        name="attended-by", word="Enter who watches the clearing", before=(NOTICE, EXECUTING, CERTIFYING),
        action=Action.DISPOSAL_PROPOSE,
        fields=(
            Field(name="person", word="Supervising person", kind=FieldKind.AGENT, required=True, part=SUPERVISOR),
            Field(
                name="watched", word="What was watched, when and where", kind=FieldKind.WORDS, required=True, personal=True,
                hint="Only persons who were really there; nobody else is named in the certificate.",
            ),
        ),
    ),
)  # fmt: skip
_BY_SERVICE: Final = (
    Act(
        name=APPROVE_BY_DETERMINATION, word="Approved by the determination", before=(PROPOSED,), after=NOTICE,
        action=Action.DISPOSAL_APPROVE, hidden=True, guards=(by_determination, begin_notice),
    ),
    Act(
        name=BEGIN, word="Clearing began", before=(NOTICE,), after=EXECUTING, action=Action.DISPOSAL_APPROVE, hidden=True,
        guards=(require_over,),
    ),
    Act(
        name=LAPSE, word="Its determination ended", before=(NOTICE,), after=WITHDRAWN, action=Action.DISPOSAL_APPROVE,
        hidden=True, guards=(require_lapsed, require_untouched),
    ),
    Act(
        name=LEAVE_OUT, word="Left out", before=(NOTICE, EXECUTING), action=Action.DISPOSAL_STOP, hidden=True,
        links=(LinkRole(role=LEFT, word="Recordings left out", needs=Action.DISPOSAL_SEE),), guards=(take_out_each,),
    ),
    Act(
        name=SETTLE, word="Everything in it is cleared", before=(EXECUTING,), after=CERTIFYING,
        action=Action.DISPOSAL_APPROVE, hidden=True, guards=(require_list, count_up),
        fields=(
            Field(name="mode", word="Mode", kind=FieldKind.CHOICE, choices=(
                Choice(code=DisposalMode.REVIEW.value, word="Persons decide"),
                Choice(code=DisposalMode.AUTOMATIC.value, word="By determination"),
            )),
            Field(name="items", word="Recordings", kind=FieldKind.NUMBER),
            Field(name="size_bytes", word="Bytes", kind=FieldKind.NUMBER),
            Field(name="list_sha256", word="SHA-256 of the list", kind=FieldKind.DIGEST),
            Field(name="notice_days", word="Days of notice", kind=FieldKind.NUMBER),
            Field(name="notice_until", word="Notice until", kind=FieldKind.MOMENT),
            Field(name="cleared", word="Cleared", kind=FieldKind.NUMBER),
            Field(name="cleared_bytes", word="Bytes cleared", kind=FieldKind.NUMBER),
            Field(name="left_out", word="Left out", kind=FieldKind.NUMBER),
            Field(name=BY_DETERMINATION, word="Determination", kind=FieldKind.MATTER),
        ),
    ),
    Act(
        name=CLOSE_CLEARED, word="Cleared, with certificate", before=(CERTIFYING,), after=CLEARED,
        action=Action.DISPOSAL_APPROVE, hidden=True, documents=(CERTIFICATE, CERTIFICATE_JSON),
    ),
    Act(
        name=CLOSE_PARTLY, word="Partly cleared, with certificate", before=(CERTIFYING,), after=PARTLY,
        action=Action.DISPOSAL_APPROVE, hidden=True, documents=(CERTIFICATE, CERTIFICATE_JSON),
    ),
    Act(
        name=CLOSE_EMPTY, word="Nothing was left to clear", before=(NOTICE, EXECUTING), after=WITHDRAWN,
        action=Action.DISPOSAL_APPROVE, hidden=True,
    ),
)  # fmt: skip

BATCH_FORM: Final = Form(
    kind=BATCH,
    word="Clearing batch",
    words="Clearing batches",
    number=plain_number("QC"),
    states=(
        State(code=PROPOSED, word="Proposed", tone=Tone.WARN),
        State(code=REVIEW, word="Under review", tone=Tone.WARN),
        State(code=AWAITING, word="Awaiting approval", tone=Tone.WARN),
        State(code=RETURNED, word="Returned", tone=Tone.WARN),
        State(code=NOTICE, word="Notice period", tone=Tone.WARN),
        State(code=EXECUTING, word="Being cleared", tone=Tone.WARN),
        State(code=CERTIFYING, word="Cleared, certificate to come", tone=Tone.WARN),
        State(code=CLEARED, word="Cleared", tone=Tone.GOOD, final=True),
        State(code=PARTLY, word="Partly cleared", tone=Tone.GOOD, final=True),
        State(code=WITHDRAWN, word="Withdrawn", final=True),
        State(code=RESTORED, word="Kept after all", final=True),
    ),
    opening=Act(
        name="propose", word="Propose for clearing", after=PROPOSED, action=Action.DISPOSAL_PROPOSE, role=PROPOSER,
        fields=(Field(name="note", word="Note", kind=FieldKind.WORDS, personal=True),),
        links=(LinkRole(role=ITEM, word="Recordings to be cleared", needs=Action.DISPOSAL_PROPOSE, least=1),),
        guards=(freeze,), effects=(require_own_unit,),
    ),
    acts=(*_BY_PERSONS, *_BY_SERVICE),
    see=Action.DISPOSAL_SEE,
    persons={
        PROPOSER: "Proposed by", REVIEWER: "Reviewed by", APPROVER: "Approved by", SUPERVISOR: "Supervising person",
    },
    documents={CERTIFICATE: "Certificate of clearing", CERTIFICATE_JSON: "Certificate, signed data", "other": "Other document"},
    made=(CERTIFICATE, CERTIFICATE_JSON),
    title="note",
    register=(
        Column(word="Number", name="number"),
        Column(word="State", name="state"),
        Column(word="Unit", name="unit"),
        Column(word="Proposed", name="opened_at"),
        Column(word="Mode", name="mode"),
        Column(word="Recordings", name="items"),
        Column(word="Bytes", name="size_bytes"),
        Column(word="Notice until", name="notice_until"),
        Column(word="Cleared", name="cleared"),
        Column(word="Bytes cleared", name="cleared_bytes"),
        Column(word="Left out", name="left_out"),
        Column(word="Reviewed by", name=f"person:{REVIEWER}"),
        Column(word="Approved by", name=f"person:{APPROVER}"),
        Column(word="Supervising person", name=f"person:{SUPERVISOR}"),
        Column(word="Closed", name="closed_at"),
        Column(word="Certificate of clearing", name=f"documents:{CERTIFICATE}"),
    ),
    deadline=_deadline,
    group="Retention",
)  # fmt: skip
