"""Names that the matters of discs share: kinds, states, roles, acts that the service does in a person's name. Data only."""

from __future__ import annotations

from typing import Final

DISC_SET: Final = "disc-set"
DISC: Final = "disc"

# links
FOOTAGE: Final = "footage"
OF_CASE: Final = "case"
REPLACES: Final = "replaces"
OF_SET: Final = "set"

# states of a set
PLANNED: Final = "planned"
BUILT: Final = "built"
BURNT: Final = "burnt"
VERIFIED: Final = "verified"
REGISTERED: Final = "registered"
WANTING: Final = "wanting"
MIGRATED: Final = "migrated"
WITHDRAWN: Final = "withdrawn"
#: In these a recording of the set is still waiting for its disc.
UNFINISHED: Final = (PLANNED, BUILT, BURNT)
#: States of a set whose images were listed.
MADE: Final = (BUILT, BURNT, VERIFIED, REGISTERED, WANTING)

# states of a disc besides BURNT, VERIFIED, REGISTERED and MIGRATED
BURNING: Final = "burning"
SPOILT: Final = "spoilt"
LOAN_ASKED: Final = "loan-asked"
LOAN_APPROVED: Final = "loan-approved"
LENT: Final = "lent"
DAMAGED: Final = "damaged"
LOST: Final = "lost"
DESTROYED: Final = "destroyed"
#: A disc counts as a copy in these states only: each follows a full read-back that was good (R12).
GOOD: Final = (VERIFIED, REGISTERED, LOAN_ASKED, LOAN_APPROVED, LENT)
#: Of these, where it has its place and keeper.
KEPT: Final = (REGISTERED, LOAN_ASKED, LOAN_APPROVED, LENT)

# acts that persons do not do by themselves: what they say was measured by the program
LIST: Final = "list"
BUILD: Final = "build"
FINISH: Final = "burnt-through"
SPOIL: Final = "spoil"
READ_GOOD: Final = "read-back-good"
READ_BAD: Final = "read-back-bad"
#: How the set follows its discs.
FOLLOWS: Final = {BURNT: "all-burnt", VERIFIED: "all-verified", REGISTERED: "all-registered", WANTING: "copy-wanting"}
MIGRATE: Final = "migrate"

# parts
PRODUCER: Final = "producer"
KEEPER: Final = "keeper"
BORROWER: Final = "borrower"

# documents
BUNDLE: Final = "list"
RECORD: Final = "image-record"

#: Letters of copies and what they are for; two are required, the third is for another place.
COPIES: Final = {"A": "Sealed copy", "B": "Working copy", "C": "Copy at another place"}
#: The copy that is never lent.
SEALED: Final = "A"
