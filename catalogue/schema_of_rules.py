"""Tables about what the rules ask for: matters with their links and documents, and what they say of each recording.

Part of :mod:`catalogue.schema`. All of it is evidence and comes back from the log; ``rule_dates`` is computed from it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from catalogue.schema_base import flag, metadata, text
from catalogue.types import CanonicalJson, DigestText, IdText, UtcMs
from evidence.digest import SHA256
from evidence.ids import AgentId, DocumentId, EntryId, MatterId, RecordingId, UnitId

#: The condition of indices over what is to be computed again.
_TRUE = sa.true()

# --- matters ----------------------------------------------------------------------------------------------------------
matters = Table(
    "matters",
    metadata,
    Column("id", IdText(MatterId), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("unit", IdText(UnitId), ForeignKey("units.id")),
    Column("opened_by", IdText(AgentId)),
    Column("opened_at", UtcMs, nullable=False),
    Column("changed_at", UtcMs, nullable=False),
    # Set while its state is a final one.
    Column("closed_at", UtcMs),
    Column("due_at", UtcMs),
    Column("version", BigInteger, nullable=False),
    # Who asked and who agreed are never one person (R10, R17): the database says so too.
    Column("proposed_by", IdText(AgentId)),
    Column("approved_by", IdText(AgentId)),
    Column("facts", CanonicalJson, nullable=False, server_default="{}"),
    Column("words", CanonicalJson, nullable=False, server_default="{}"),
    sa.UniqueConstraint("kind", "number"),
    sa.CheckConstraint("approved_by IS NULL OR proposed_by IS NULL OR approved_by <> proposed_by", name="two_persons"),
)
Index("ix_matters_kind", matters.c.kind, matters.c.state, matters.c.id)
Index("ix_matters_unit", matters.c.unit, matters.c.kind, matters.c.id)
Index(
    "ix_matters_due",
    matters.c.due_at,
    sqlite_where=sa.and_(matters.c.due_at.is_not(None), matters.c.closed_at.is_(None)),
    postgresql_where=sa.and_(matters.c.due_at.is_not(None), matters.c.closed_at.is_(None)),
)

# Numbers are given without gaps: the row is locked until the matter that takes its number is committed.
matter_numbers = Table(
    "matter_numbers",
    metadata,
    Column("series", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

matter_persons = Table(
    "matter_persons",
    metadata,
    Column("matter", IdText(MatterId), ForeignKey("matters.id"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("agent", IdText(AgentId), primary_key=True),
    Column("since", UtcMs, nullable=False),
)
Index("ix_matter_persons_agent", matter_persons.c.agent, matter_persons.c.role)

matter_links = Table(
    "matter_links",
    metadata,
    Column("matter", IdText(MatterId), ForeignKey("matters.id"), primary_key=True),
    Column("role", Text, primary_key=True),
    # Any identity: of a recording, a recorder, a person, a unit, another matter.
    Column("target", Text, primary_key=True),
    # Tells several links of one kind to one thing apart (clips).
    Column("key", Text, primary_key=True, server_default=""),
    Column("facts", CanonicalJson, nullable=False, server_default="{}"),
    Column("since", UtcMs, nullable=False),
)
Index("ix_matter_links_target", matter_links.c.target, matter_links.c.role)

matter_documents = Table(
    "matter_documents",
    metadata,
    Column("id", IdText(DocumentId), primary_key=True),
    Column("matter", IdText(MatterId), ForeignKey("matters.id"), nullable=False, index=True),
    Column("role", Text, nullable=False),
    text("name"),
    Column("sha256", DigestText(SHA256), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("filed_by", IdText(AgentId)),
    Column("filed_at", UtcMs, nullable=False),
)

# --- recordings -------------------------------------------------------------------------------------------------------
# What persons and approved acts said of a recording; made when the first of them does.
recording_rules = Table(
    "recording_rules",
    metadata,
    Column("recording", IdText(RecordingId), ForeignKey("recordings.id"), primary_key=True),
    text("category"),
    text("item"),
    text("basis"),
    Column("classified_at", UtcMs),
    Column("classified_by", IdText(AgentId)),
    flag("complaint"),
    flag("obstruction"),
    flag("sensitive"),
    flag("long_term"),
    Column("archived_at", UtcMs),
    text("archived_reason"),
    Column("disposing_at", UtcMs),
    Column("disposed_at", UtcMs),
    # The matter it was disposed of in.
    Column("disposal", IdText(MatterId), ForeignKey("matters.id")),
    Column("disposed_entry", IdText(EntryId)),
)
Index(
    "ix_recording_rules_long_term",
    recording_rules.c.recording,
    sqlite_where=recording_rules.c.long_term.is_(_TRUE),
    postgresql_where=recording_rules.c.long_term.is_(_TRUE),
)
Index("ix_recording_rules_disposal", recording_rules.c.disposal)
Index("ix_recording_rules_category", recording_rules.c.category, recording_rules.c.recording)

# Until when each recording is kept: computed, no evidence; what concerns a recording marks it stale in the same transaction.
rule_dates = Table(
    "rule_dates",
    metadata,
    Column("recording", IdText(RecordingId), ForeignKey("recordings.id"), primary_key=True),
    Column("state", Text, nullable=False, server_default=""),
    # From then on it may be proposed for clearing; NULL while there is no date.
    Column("due_at", UtcMs),
    Column("last_day", Text, nullable=False, server_default=""),
    Column("why", CanonicalJson, nullable=False, server_default="[]"),
    Column("schedule", Text, nullable=False, server_default=""),
    Column("computed_at", UtcMs),
    flag("stale"),
)
Index(
    "ix_rule_dates_due",
    rule_dates.c.due_at,
    rule_dates.c.recording,
    sqlite_where=rule_dates.c.due_at.is_not(None),
    postgresql_where=rule_dates.c.due_at.is_not(None),
)
Index(
    "ix_rule_dates_stale",
    rule_dates.c.recording,
    sqlite_where=rule_dates.c.stale.is_(_TRUE),
    postgresql_where=rule_dates.c.stale.is_(_TRUE),
)

# Which stores are known to keep a hold on their copy: computed, no evidence; the stores know best.
store_holds = Table(
    "store_holds",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("store", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
)
Index("ix_store_holds_reference", store_holds.c.reference)
