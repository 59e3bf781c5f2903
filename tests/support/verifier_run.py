"""Runs the stand-alone verifier in this process and hands its JSON report back."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from verifier import liuhen_verify


@dataclass
class Outcome:
    exit_code: int
    report: dict[str, Any]

    @property
    def codes(self) -> set[str]:
        return {finding["code"] for finding in self.report["findings"]}

    @property
    def facts(self) -> dict[str, Any]:
        return self.report["facts"]

    def params(self, code: str) -> dict[str, str]:
        return next(finding["params"] for finding in self.report["findings"] if finding["code"] == code)


def verify(*arguments: object) -> Outcome:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exit_code = liuhen_verify.main([*(str(a) for a in arguments), "--json"])
    report = json.loads(output.getvalue())
    assert report["exit"] == exit_code
    assert "internal" not in {finding["code"] for finding in report["findings"]}, report
    return Outcome(exit_code, report)
