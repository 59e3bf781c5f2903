"""What a verification found, as values: stable kinds, one verdict, one exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """The one-word answer. ``unknown``: a part could not be examined, so no better word would be true."""

    GOOD = "good"
    TAMPERED = "tampered"
    POLICY_UNMET = "policy-unmet"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """What a finding does to the verdict."""

    TAMPER = "tamper"
    POLICY = "policy"
    UNKNOWN = "unknown"
    NOTE = "note"


EXIT_CODES: Final = {Verdict.GOOD: 0, Verdict.TAMPERED: 1, Verdict.POLICY_UNMET: 3, Verdict.UNKNOWN: 30}

#: Every kind of finding and what it means for the verdict; screens translate the kind.
KINDS: Final = {
    "log-invalid": Severity.TAMPER,
    "log-replicas-differ": Severity.TAMPER,
    "log-not-in-database": Severity.TAMPER,
    "entry-invalid": Severity.TAMPER,
    "entry-signature": Severity.TAMPER,
    "entry-differs": Severity.TAMPER,
    "entry-missing": Severity.TAMPER,
    "signer-differs": Severity.TAMPER,
    "log-rolled-back": Severity.TAMPER,
    "disclosure-differs": Severity.TAMPER,
    "copy-damaged": Severity.TAMPER,
    "copy-missing": Severity.TAMPER,
    "lock-record": Severity.TAMPER,
    "key-missing": Severity.TAMPER,
    "catalogue-differs": Severity.TAMPER,
    "catalogue-unreadable": Severity.TAMPER,
    "recording-unknown": Severity.TAMPER,
    "recording-missing": Severity.TAMPER,
    "blob-unrecorded": Severity.TAMPER,
    "manifest-invalid": Severity.TAMPER,
    "too-few-copies": Severity.POLICY,
    "too-few-domains": Severity.POLICY,
    "few-domains-here": Severity.NOTE,
    "copies-are-one-file": Severity.POLICY,
    "not-published": Severity.POLICY,
    "store-unavailable": Severity.UNKNOWN,
    "not-examined": Severity.UNKNOWN,
    "orphan-blob": Severity.NOTE,
    "being-removed": Severity.NOTE,
    "store-given-up": Severity.NOTE,
    "foreign-file": Severity.NOTE,
    "file-open": Severity.NOTE,
    "late": Severity.NOTE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found. ``recording`` and ``store`` are empty where none is concerned."""

    kind: str
    recording: str = ""
    store: str = ""
    detail: str = ""

    @property
    def severity(self) -> Severity:
        """What it does to the verdict."""
        return KINDS[self.kind]

    def to_json(self) -> dict[str, str]:
        """The stable fields of the command line."""
        return {"kind": self.kind, "recording": self.recording, "store": self.store, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Counts of what was really examined, and every finding."""

    entries: int
    recordings: int
    copies: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Tamper outweighs what could not be examined, and that outweighs an unmet policy."""
        severities = {finding.severity for finding in self.findings}
        for severity, verdict in (
            (Severity.TAMPER, Verdict.TAMPERED),
            (Severity.UNKNOWN, Verdict.UNKNOWN),
            (Severity.POLICY, Verdict.POLICY_UNMET),
        ):
            if severity in severities:
                return verdict
        return Verdict.GOOD

    @property
    def exit_code(self) -> int:
        """0 good, 1 tamper or loss, 3 sound but policy unmet, 30 a store could not be examined."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """``{"verdict","entries","recordings","copies","findings","notes"}``: a stable contract.

        ``notes`` are findings that change nothing about the verdict (severity ``note``): told, not counted as trouble.
        """
        return {
            "verdict": self.verdict.value,
            "entries": self.entries,
            "recordings": self.recordings,
            "copies": self.copies,
            "findings": [finding.to_json() for finding in self.findings if finding.severity is not Severity.NOTE],
            "notes": [finding.to_json() for finding in self.findings if finding.severity is Severity.NOTE],
        }


#: Told of every step: what is examined (``log``, ``copies``, ``catalogue``), how many are done, how many there are (0: unknown).
VerifyProgress = Callable[[str, int, int], None]
