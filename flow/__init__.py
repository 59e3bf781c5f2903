"""Durable jobs: the engine behind ``evidence.ports.JobEngine`` and the clock that asks it for work.

The catalogue is the truth about recordings; this room only remembers what was asked for. Its database may be deleted at
any time: the reconciler (``ingest.reconcile``) enqueues whatever is unfinished.
"""

from flow.engine import DbosEngine
from flow.inline import InlineEngine
from flow.schedule import Schedule

__all__ = ["DbosEngine", "InlineEngine", "Schedule"]
