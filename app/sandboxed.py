"""Whether media programs can be started where this process runs: found out by starting one that does nothing."""

from __future__ import annotations

from evidence import sandbox
from evidence.errors import SandboxError


def sandbox_trouble() -> str:
    """Why nothing can run in the sandbox here; empty when it can. Hardening of a unit may forbid what the sandbox needs."""
    try:
        result = sandbox.run(["true"], check=False)
    except SandboxError as error:
        return error.what
    if result.returncode == 0:
        return ""
    return result.untrusted_stderr.decode("utf-8", "replace").strip() or f"it ended with status {result.returncode}"
