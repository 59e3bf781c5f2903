"""Every error of the service, each with a stable code, an exit code and a retry class.

Malformed input always ends in one of these types; a ``ValueError`` or ``KeyError`` that leaks out of a room is a bug.
``str(error)`` says what happened; :meth:`EvidenceError.diagnostics` says what was kept and what a person can do.
HTTP status codes are mapped in ``api.problems`` only.

Source: docs/architecture.md section "Errors"; exit codes are a stable contract (docs/formats/cli.md).
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Retry(Enum):
    """What a caller may do after the error."""

    NEVER = "never"
    LATER = "later"
    AFTER_HUMAN = "after-human"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!", "。")) else f"{text}."


class EvidenceError(Exception):
    """Base of all our errors.

    Args:
        what: One sentence: what happened.
        kept: What is safe and where (empty when nothing was at stake).
        todo: What the reader can do now.
    """

    code: ClassVar[str] = "evidence"
    exit_code: ClassVar[int] = 70
    retry: ClassVar[Retry] = Retry.NEVER
    #: A fatal error means the state on disk is unknown: the process stops and recovery decides at the next start.
    fatal: ClassVar[bool] = False

    def __init__(self, what: str, *, kept: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.todo = todo

    def diagnostics(self) -> str:
        """The message for a person: what happened, what was kept, what to do."""
        return " ".join(_sentence(part) for part in (self.what, self.kept, self.todo) if part)


# --- 2: how the program was called or set up --------------------------------------------------------------------------
class UsageError(EvidenceError):
    """The command, its arguments or the configuration cannot be carried out as given."""

    code = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """A setting is missing, unknown or contradicts another."""

    code = "config"


class InvalidInputError(UsageError):
    """A value from outside does not have the form its field asks for."""

    code = "invalid-input"


class NotFoundError(UsageError):
    """Nothing with that identity is known here."""

    code = "not-found"


# --- 3: sound, but a policy is not met --------------------------------------------------------------------------------
class PolicyUnmetError(EvidenceError):
    """Everything is sound, yet a rule forbids the act now (for example release on too few copies)."""

    code = "policy-unmet"
    exit_code = 3
    retry = Retry.LATER


class BrakePulledError(PolicyUnmetError):
    """Removal of bytes is stopped until a person lets it go on."""

    code = "brake-pulled"
    retry = Retry.AFTER_HUMAN


# --- 10: authorisation ------------------------------------------------------------------------------------------------
class AccessDeniedError(EvidenceError):
    """The agent may not do this. The denial itself has been entered in the log."""

    code = "access-denied"
    exit_code = 10
    retry = Retry.AFTER_HUMAN


class AuthenticationError(AccessDeniedError):
    """The agent is not known, or did not prove who they are."""

    code = "authentication"


# --- 11: bounds and clock ---------------------------------------------------------------------------------------------
class LimitExceededError(EvidenceError):
    """An input or a resource is larger than ``evidence.limits`` allows."""

    code = "limit-exceeded"
    exit_code = 11


class ClockWentBackError(EvidenceError):
    """The clock is behind a time this home has already seen."""

    code = "clock-went-back"
    exit_code = 12
    retry = Retry.AFTER_HUMAN


class ClockJumpedError(EvidenceError):
    """The clock is far beyond every time this home has seen, and is not synchronised."""

    code = "clock-jumped"
    exit_code = 12
    retry = Retry.AFTER_HUMAN


# --- 20: devices ------------------------------------------------------------------------------------------------------
class DeviceError(EvidenceError):
    """Something about a recorder."""

    code = "device"
    exit_code = 20
    retry = Retry.LATER


class DeviceGoneError(DeviceError):
    """The recorder was unplugged or stopped answering for good; what was read so far is kept and resumed."""

    code = "device-gone"


class DeviceStalledError(DeviceError):
    """An endpoint stalled twice in a row."""

    code = "device-stalled"


class DeviceTimeoutError(DeviceError):
    """A transfer took longer than its limit and was cancelled."""

    code = "device-timeout"


class DeviceBusyError(DeviceError):
    """Another program or another offload holds the recorder."""

    code = "device-busy"


class DeviceProtocolError(DeviceError):
    """The recorder's answer breaks its protocol."""

    code = "device-protocol"


class DeviceUnsupportedError(DeviceError):
    """The recorder does not offer this function; shown as 'not supported', never invented."""

    code = "device-unsupported"
    retry = Retry.NEVER


class DeviceNotRegisteredError(DeviceError):
    """The recorder is not in the ledger: a person must register it before anything is read."""

    code = "device-not-registered"
    retry = Retry.AFTER_HUMAN


class MediumError(DeviceError):
    """The recorder is there, but a range of its storage cannot be read."""

    code = "medium"


class SourceChangedError(DeviceError):
    """The file on the recorder is not the one that was sealed (identity, size or digest differ)."""

    code = "source-changed"
    retry = Retry.AFTER_HUMAN


# --- 30: storage ------------------------------------------------------------------------------------------------------
class StoreError(EvidenceError):
    """Something about a blob store."""

    code = "store"
    exit_code = 30


class BlobNotFoundError(StoreError):
    """No such blob in that store."""

    code = "blob-not-found"


class BlobConflictError(StoreError):
    """The key exists with other bytes. Nothing was overwritten."""

    code = "blob-conflict"


class BlobLockedError(StoreError):
    """A retention date or a hold forbids removal."""

    code = "blob-locked"


class StoreFullError(StoreError):
    """The free-space floor is reached; recorders keep their footage. ``stores`` names the full ones, where that is known."""

    code = "store-full"
    retry = Retry.AFTER_HUMAN
    stores: tuple[str, ...] = ()


class StoreUnavailableError(StoreError):
    """The store does not answer."""

    code = "store-unavailable"
    retry = Retry.LATER


class StoreCredentialsError(StoreUnavailableError):
    """The store does not accept our keys, or our account has not the rights it needs: nothing is known about its bytes."""

    code = "store-credentials"
    retry = Retry.AFTER_HUMAN


class StoreClockError(StoreUnavailableError):
    """The store refuses requests because its clock and ours are too far apart."""

    code = "store-clock"


class StoreNotKeptError(StoreError):
    """The store acknowledged a write and does not have it. Nothing counts as stored there; the write may be repeated."""

    code = "store-not-kept"
    retry = Retry.LATER


class NotDurableError(StoreError):
    """A write could not be made durable. Fatal: after a failed fsync nothing about the file is known."""

    code = "not-durable"
    fatal = True


# --- 1: tamper or loss ------------------------------------------------------------------------------------------------
class IntegrityError(EvidenceError):
    """Tamper or loss was found. Exit code 1 is reserved for this family."""

    code = "integrity"
    exit_code = 1
    retry = Retry.AFTER_HUMAN


class DigestMismatchError(IntegrityError):
    """Bytes do not have the digest that was stated for them."""

    code = "digest-mismatch"

    def __init__(self, what: str, *, kept: str = "", todo: str = "", found: str = "") -> None:
        super().__init__(what, kept=kept, todo=todo)
        self.found = found


class EntryInvalidError(IntegrityError):
    """A custody entry does not parse strictly or breaks its schema."""

    code = "entry-invalid"


class ManifestInvalidError(IntegrityError):
    """A manifest does not parse strictly or contradicts the log."""

    code = "manifest-invalid"


class SignatureInvalidError(IntegrityError):
    """A signature does not verify."""

    code = "signature-invalid"


class SignerMismatchError(IntegrityError):
    """The station's key, or the next turn of its signer, is not the one the log's entries ask for: nothing is signed."""

    code = "signer-mismatch"


class ProofInvalidError(IntegrityError):
    """An inclusion or consistency proof does not verify."""

    code = "proof-invalid"


class SplitViewError(IntegrityError):
    """Two checkpoints of one log contradict each other."""

    code = "split-view"


# --- 40: custody log --------------------------------------------------------------------------------------------------
class CustodyError(EvidenceError):
    """Something about the custody log's operation (not its integrity)."""

    code = "custody"
    exit_code = 40


class LogStateUnknownError(CustodyError):
    """The head may or may not have moved. Fatal: stop; recovery decides."""

    code = "log-state-unknown"
    fatal = True


class LogLockedError(CustodyError):
    """Another sealer holds the log."""

    code = "log-locked"
    retry = Retry.LATER


class LogRollbackError(CustodyError):
    """The published checkpoint is ahead of the database (a restored backup): refuse to start."""

    code = "log-rollback"
    retry = Retry.AFTER_HUMAN
    fatal = True


class KeyUnavailableError(CustodyError):
    """A signing key cannot be opened."""

    code = "key-unavailable"
    retry = Retry.AFTER_HUMAN


class MasterKeyUnavailableError(KeyUnavailableError):
    """The master key of encrypted footage cannot be opened now: nothing can be said of what it encrypts."""

    code = "master-key-unavailable"


# --- 50: catalogue ----------------------------------------------------------------------------------------------------
class CatalogueError(EvidenceError):
    """Something about the database."""

    code = "catalogue"
    exit_code = 50


class StateConflictError(CatalogueError):
    """The row is not in the state the change starts from (another worker was faster, or the step already ran)."""

    code = "state-conflict"


class CatalogueUnavailableError(CatalogueError):
    """The database is busy, restarting or not reachable; the same act may be tried again."""

    code = "catalogue-unavailable"
    retry = Retry.LATER


class HomeLockedError(CatalogueError):
    """Another process serves this home."""

    code = "home-locked"
    retry = Retry.LATER


# --- 60: media --------------------------------------------------------------------------------------------------------
class MediaError(EvidenceError):
    """Something about making or reading pictures and sound. The original is never touched."""

    code = "media"
    exit_code = 60


class SandboxError(MediaError):
    """A sandboxed program failed, was killed or ran out of its limits."""

    code = "sandbox"


# --- 65: jobs ---------------------------------------------------------------------------------------------------------
class JobError(EvidenceError):
    """The job engine refused or lost a job; the reconciler enqueues it again."""

    code = "job"
    exit_code = 65
    retry = Retry.LATER


# --- 66: discs --------------------------------------------------------------------------------------------------------
class DiscError(EvidenceError):
    """Something about making, burning or reading an optical disc. The stores keep the footage whatever became of the disc."""

    code = "disc"
    exit_code = 66
    retry = Retry.AFTER_HUMAN


class DiscPlanError(DiscError):
    """The files cannot be laid on discs of this kind as asked; nothing was made."""

    code = "disc-plan"


class DiscDriveError(DiscError):
    """There is no such drive, no medium in it, or it does not do what is asked."""

    code = "disc-drive"


class DiscMediumError(DiscError):
    """The medium holds something already or is too small; nothing was written to it."""

    code = "disc-medium"


class DiscDamagedError(IntegrityError):
    """A disc or an image does not have the bytes that were laid on it, or they cannot be read."""

    code = "disc-damaged"
