"""Assurance: is everything still what it was, and can it be built again? Verification never repairs and trusts no status.

Guarantees: a verification finds a changed bit in every kind of stored file and every fact that log and catalogue tell
differently; a rebuild restores every catalogue fact about evidence; health says ``unknown`` where it could not look.
"""

from assurance.auditor import Auditor, AuditorParts, CopyCheck
from assurance.disclosures import DisclosureArchive
from assurance.facts import evidence_facts
from assurance.findings import FindingBook
from assurance.health import Health, health
from assurance.health_facts import Check, HealthParts, Level
from assurance.rebuild import RebuildReport, rebuild
from assurance.report import Finding, Verdict, VerifyReport
from assurance.sweep import sweep_deadlines
from assurance.verify import CopyPolicy, verify_home

__all__ = [
    "Auditor",
    "AuditorParts",
    "Check",
    "CopyCheck",
    "CopyPolicy",
    "DisclosureArchive",
    "Finding",
    "FindingBook",
    "Health",
    "HealthParts",
    "Level",
    "RebuildReport",
    "Verdict",
    "VerifyReport",
    "evidence_facts",
    "health",
    "rebuild",
    "sweep_deadlines",
    "verify_home",
]
