"""Words of the register of use and of what stands on the screen while footage is used."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = {
    "number": "Register number", "requester": "Applicant", "officer_code": "Officer number", "unit": "Unit",
    "at": "Date and time", "purpose": "Purpose", "authority": "Document it rests on", "footage": "Footage",
    "span": "Recorded from and to", "rights": "Kind of use", "ends": "Use until", "handler": "Checked by",
    "leader": "Leader in charge", "opinion": "Opinion of the leader", "decided_at": "Decided at", "grant": "Grant for use",
    "use": "Use number", "medium": "Medium and its number", "sha256": "SHA-256", "copies": "Number of copies",
    "remark": "Remark",
}  # fmt: skip
#: Who signs the printed register.
SIGNS: Final = {"keeper": "Entered by", "leader": "Leader in charge"}
REMARKS: Final = {
    "paper": "Entered afterwards from paper",
    "refused": "Refused: {reason}",
    "party": "Shown to the party: {party}",
    "unused": "Not used",
    "title": "Register of use",
}
RIGHTS: Final = {"view": "Watch", "copy": "Make a copy", "export": "Export in a package"}
KINDS: Final = {"original": "Original", "viewing": "Viewing copy", "poster": "Still picture", "sheet": "Key frames"}
