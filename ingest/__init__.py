"""How a recording comes in: discovered, acquired, stored, described, and at last cleared from its recorder.

The recording's row is the truth. Each stage is an idempotent ``ensure_x(parts, recording)``: it may be killed anywhere and
is simply run again. A custody entry is written in the same transaction as the state change it reports.
"""
