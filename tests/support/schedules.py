"""A schedule of keeping in force in a small home, brought in as persons do: proposed, tried, approved by another."""

from __future__ import annotations

from evidence.calendar import local_date
from retention.dry_run import DryRuns
from retention.recompute import Recompute
from support.assured_home import AssuredHome

ROWS = (
    {"category": "street", "title": "街面巡查", "keeps": "6个月"},
    {"category": "penalty", "title": "行政处罚", "keeps": "2年"},
    {"category": "major", "title": "重大执法", "keeps": "永久"},
)


def bring_in(home: AssuredHome, rows=ROWS) -> None:
    """These categories are in force on return."""
    proposer = home.agent("期限表管理员", "retention_manager", unit=None)
    approver = home.agent("期限表负责人", "unit_leader", unit=None)
    desk = home.desk()
    today = local_date(home.clock.now().wall).isoformat()
    values = {
        "title": "办法",
        "authority": "局发〔2026〕1号",
        "in_force_from": today,
        "rows": [dict(row) for row in rows],
    }
    row = desk.open(proposer, "schedule", values)
    DryRuns(home.catalogue, clock=home.clock, desk=desk, filer=home.papers()).run()
    desk.act(approver, row.id, "approve", seen=desk.view(approver, row.id).seen)
    Recompute(home.catalogue, clock=home.clock, desk=desk).run()
    assert desk.view(proposer, row.id).row.state == "in-force"
