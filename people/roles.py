"""Roles as bundles of permissions: the table. To change who may do what, change it here and nowhere else.

Viewing footage, running the station, managing people and reading the log are separate rights, and no role has all of them.
The three administrators are kept apart: the system administrator neither sees footage nor manages people, the security
administrator manages people and sees no footage, the audit administrator reads what both of them did. Nobody can alter or
remove footage: there is no such action.

Source: RULES R8, R9, R17, R18; GB/T 22239-2019 (separated administrators).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from evidence.errors import InvalidInputError
from evidence.model import Action

OFFICER: Final = "officer"
STATION_OPERATOR: Final = "station_operator"
UNIT_LEADER: Final = "unit_leader"
LEGAL_REVIEWER: Final = "legal_reviewer"
AUDITOR: Final = "auditor"
RETENTION_MANAGER: Final = "retention_manager"
SYSTEM_ADMINISTRATOR: Final = "system_administrator"
SECURITY_ADMINISTRATOR: Final = "security_administrator"
AUDIT_ADMINISTRATOR: Final = "audit_administrator"


@dataclass(frozen=True, slots=True)
class Role:
    """What a role may do.

    Attributes:
        actions: Acts on anything inside of the grant's unit (everywhere for a grant without a unit).
        own: Acts on what the agent recorded, wherever it is now.
    """

    actions: frozenset[Action] = frozenset()
    own: frozenset[Action] = frozenset()


def _role(*actions: Action, own: Iterable[Action] = ()) -> Role:
    return Role(frozenset(actions), frozenset(own))


ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        OFFICER: _role(
            own=(
                Action.RECORDING_LIST,
                Action.RECORDING_SHOW,
                Action.RECORDING_VIEW,
                Action.RECORDING_VERIFY,
                Action.OFFLOAD_LIST,
                Action.RECORDING_CLASSIFY,
                Action.RECORDING_FLAG,
                Action.SCHEDULE_SEE,
                Action.CASE_SEE,
                Action.CASE_EDIT,
                Action.ACCESS_ASK,
                Action.EXCEPTION_FILE,
                Action.DAMAGE_REPORT,
                Action.DEVICE_CARRY,
                Action.SAMPLING_ANSWER,
                Action.PROCEDURE_SEE,
                Action.DISC_SEE,
            ),
        ),
        STATION_OPERATOR: _role(
            Action.RECORDING_LIST,
            Action.RECORDING_SHOW,
            Action.RECORDING_VERIFY,
            Action.RECORDING_BIND,
            Action.OFFLOAD_RUN,
            Action.OFFLOAD_LIST,
            Action.DEVICE_LIST,
            Action.DEVICE_REGISTER,
            Action.DEVICE_CHANGE,
            Action.DEVICE_RELEASE,
            Action.FINDING_LIST,
            Action.SYSTEM_HEALTH,
            Action.RECORDING_FLAG,
            Action.SCHEDULE_SEE,
            Action.REGISTER_ENTER,
            Action.EXCEPTION_FILE,
            Action.DAMAGE_REPORT,
            Action.DAMAGE_HANDLE,
            Action.DEVICE_ISSUE,
            Action.DISC_SEE,
            Action.DISC_MAKE,
        ),
        UNIT_LEADER: _role(
            Action.RECORDING_LIST,
            Action.RECORDING_SHOW,
            Action.RECORDING_VIEW,
            Action.RECORDING_VERIFY,
            Action.RECORDING_BIND,
            Action.OFFLOAD_LIST,
            Action.DEVICE_LIST,
            Action.FINDING_LIST,
            Action.PEOPLE_LIST,
            Action.RECORDING_CLASSIFY,
            Action.RECORDING_FLAG,
            Action.FLAG_LIFT,
            Action.RECORDING_COPY,
            Action.RECORDING_EXPORT,
            Action.SCHEDULE_SEE,
            Action.SCHEDULE_APPROVE,
            Action.HOLD_SEE,
            Action.HOLD_PLACE,
            Action.HOLD_RELEASE,
            Action.DISPOSAL_SEE,
            Action.DISPOSAL_APPROVE,
            Action.DISPOSAL_STOP,
            Action.CASE_SEE,
            Action.CASE_EDIT,
            Action.CASE_CLOSE,
            Action.CASE_EXPORT,
            Action.ACCESS_ASK,
            Action.ACCESS_APPROVE,
            Action.REGISTER_SEE,
            Action.EXCEPTION_FILE,
            Action.EXCEPTION_REVIEW,
            Action.DAMAGE_REPORT,
            Action.SAMPLING_ANSWER,
            Action.PROCEDURE_SEE,
            Action.PROCEDURE_HANDLE,
            Action.PROCEDURE_DECIDE,
            Action.DISC_SEE,
            Action.DISC_LEND,
            Action.STATISTICS_SEE,
            Action.ABSENCE_ASK,
        ),
        LEGAL_REVIEWER: _role(
            Action.RECORDING_LIST,
            Action.RECORDING_SHOW,
            Action.RECORDING_VIEW,
            Action.RECORDING_VERIFY,
            Action.OFFLOAD_LIST,
            Action.FINDING_LIST,
            Action.RECORDING_FLAG,
            Action.RECORDING_COPY,
            Action.RECORDING_EXPORT,
            Action.SCHEDULE_SEE,
            Action.HOLD_SEE,
            Action.HOLD_PLACE,
            Action.HOLD_RELEASE,
            Action.DISPOSAL_SEE,
            Action.CASE_SEE,
            Action.CASE_EDIT,
            Action.CASE_EXPORT,
            Action.ACCESS_ASK,
            Action.REGISTER_SEE,
            Action.SAMPLING_RUN,
            Action.PROCEDURE_SEE,
            Action.PROCEDURE_HANDLE,
            Action.DISC_SEE,
            Action.STATISTICS_SEE,
            Action.ABSENCE_ASK,
        ),
        AUDITOR: _role(
            Action.RECORDING_LIST,
            Action.RECORDING_SHOW,
            Action.RECORDING_VERIFY,
            Action.VERIFY_RUN,
            Action.OFFLOAD_LIST,
            Action.DEVICE_LIST,
            Action.LOG_READ,
            Action.FINDING_LIST,
            Action.PEOPLE_LIST,
            Action.SYSTEM_HEALTH,
            Action.FIXITY_RUN,
            Action.BRAKE_PULL,
            Action.SCHEDULE_SEE,
            Action.HOLD_SEE,
            Action.HOLD_PLACE,
            Action.DISPOSAL_SEE,
            Action.DISPOSAL_STOP,
            Action.CASE_SEE,
            Action.ACCESS_ASK,
            Action.REGISTER_SEE,
            Action.SAMPLING_RUN,
            Action.PROCEDURE_SEE,
            Action.DISC_SEE,
            Action.STATISTICS_SEE,
            Action.ABSENCE_ASK,
        ),
        RETENTION_MANAGER: _role(
            Action.RECORDING_LIST,
            Action.RECORDING_SHOW,
            Action.RECORDING_VERIFY,
            Action.OFFLOAD_LIST,
            Action.DEVICE_LIST,
            Action.FINDING_LIST,
            Action.BRAKE_PULL,
            Action.RECORDING_CLASSIFY,
            Action.RECORDING_FLAG,
            Action.SCHEDULE_SEE,
            Action.SCHEDULE_PROPOSE,
            Action.HOLD_SEE,
            Action.HOLD_PLACE,
            Action.DISPOSAL_SEE,
            Action.DISPOSAL_PROPOSE,
            Action.DISPOSAL_STOP,
            Action.REGISTER_SEE,
            Action.DISC_SEE,
            Action.DISC_MAKE,
            Action.STATISTICS_SEE,
            Action.CALENDAR_MANAGE,
            Action.ABSENCE_ASK,
        ),
        SYSTEM_ADMINISTRATOR: _role(
            Action.VERIFY_RUN,
            Action.REBUILD_RUN,
            Action.SYSTEM_HEALTH,
            Action.SETTING_CHANGE,
            Action.DEVICE_LIST,
            Action.FINDING_LIST,
            Action.FIXITY_RUN,
            Action.STORAGE_MIGRATE,
            Action.BACKUP_RUN,
            Action.KEYS_MANAGE,
        ),
        SECURITY_ADMINISTRATOR: _role(Action.PEOPLE_LIST, Action.PEOPLE_MANAGE, Action.SYSTEM_HEALTH),
        AUDIT_ADMINISTRATOR: _role(
            Action.LOG_READ,
            Action.FINDING_LIST,
            Action.VERIFY_RUN,
            Action.PEOPLE_LIST,
            Action.SYSTEM_HEALTH,
            Action.BRAKE_PULL,
            Action.BRAKE_RELEASE,
            Action.SCHEDULE_SEE,
            Action.HOLD_SEE,
            Action.DISPOSAL_SEE,
            Action.DISPOSAL_STOP,
            Action.REGISTER_SEE,
            Action.ABSENCE_ASK,
        ),
    }
)

#: One person should hold at most one of these; a new home starts with exceptions, which the people page shows.
SEPARATED: Final = frozenset({SYSTEM_ADMINISTRATOR, SECURITY_ADMINISTRATOR, AUDIT_ADMINISTRATOR})

#: Questions about no object in particular, whose answers are narrowed to what the agent may see: any grant will do.
#: Every other act that names no object concerns the whole house, so a grant for one department does not reach it.
LISTS: Final = frozenset(
    {
        Action.RECORDING_LIST,
        Action.OFFLOAD_LIST,
        Action.DEVICE_LIST,
        Action.FINDING_LIST,
        Action.PEOPLE_LIST,
        Action.SYSTEM_HEALTH,
        Action.SCHEDULE_SEE,
        Action.HOLD_SEE,
        Action.DISPOSAL_SEE,
        Action.CASE_SEE,
        Action.REGISTER_SEE,
        Action.PROCEDURE_SEE,
        Action.DISC_SEE,
        Action.STATISTICS_SEE,
        Action.ABSENCE_ASK,
    }
)

#: Acts that archived recordings (R17) allow only under a grant, whatever the role.
NEEDS_GRANT_ONCE_ARCHIVED: Final = frozenset({Action.RECORDING_VIEW, Action.RECORDING_COPY, Action.RECORDING_EXPORT})


def role(name: str) -> Role:
    """The role of that name; InvalidInputError for an unknown one."""
    try:
        return ROLES[name]
    except KeyError as error:
        raise InvalidInputError(f"no role {name[:64]!r}") from error


def actions_of(name: str) -> frozenset[Action]:
    """Everything a role may do on at least something; InvalidInputError for an unknown role."""
    found = role(name)
    return found.actions | found.own


def broken_separation(names: Iterable[str]) -> frozenset[str]:
    """The administrator roles among ``names`` that one person should not hold together; empty when all is well."""
    held = SEPARATED.intersection(names)
    return held if len(held) > 1 else frozenset()
