"""Health, findings, the log."""

from __future__ import annotations

from api.schemas.common import Answer, Moment


class HealthItemAnswer(Answer):
    """One fact; ``level`` is ok, warn, bad or unknown."""

    name: str
    subject: str
    level: str
    reason: str
    values: dict[str, str | int]


class HealthAnswer(Answer):
    """The true state of the system now."""

    level: str
    checks: list[HealthItemAnswer]
    as_of: Moment


class FindingAnswer(Answer):
    """Something an auditor must look at."""

    id: str
    kind: str
    recording: str
    store: str
    detail: str
    raised_at: Moment


class VerificationAnswer(Answer):
    """The last check of the whole home."""

    running: bool
    verdict: str
    at: Moment | None
    step: str = ""
    done: int = 0
    total: int = 0
    entries: int = 0
    recordings: int = 0
    copies: int = 0
    findings: int = 0
    error: str = ""
    code: str = ""


class LogAnswer(Answer):
    """Where the log stands for outsiders; ``checkpoint`` is the published signed note."""

    directory: str
    vkey: str
    checkpoint: str
