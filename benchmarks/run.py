"""Speed ratios of this project against plain peers, in one run on one machine: ``make bench``, ``make bench-full``.

docs/speed.md explains what is compared and keeps a table of results.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bucket
import custody
import encrypted
import offload
import retention_scan
import scrub
from measure import FULL, NO_SHA_INSTRUCTIONS, QUICK, Result, Sizes

from evidence.errors import EvidenceError

Bench = Callable[[Path, Sizes], list[Result]]
BENCHES: dict[str, Bench] = {
    "offload": offload.offload,
    "fixity": offload.fixity,
    "scrub": scrub.scrub,
    "bucket": bucket.bucket,
    "encrypted": encrypted.encrypted,
    "log": custody.log,
    "proof": custody.proof,
    "retention": retention_scan.scan,
}
#: Benches whose wall is SHA-256: measured with and without the processor's SHA instructions.
DIGEST_BOUND = ("offload", "fixity", "scrub")


def main() -> int:
    """Run what was asked for; exit code 0 whether goals are met or not (a busy machine is no fault)."""
    arguments = _arguments()
    place = arguments.directory.resolve()
    place.mkdir(parents=True, exist_ok=True)
    masked = os.environ.get("OPENSSL_ia32cap", "") == NO_SHA_INSTRUCTIONS  # noqa: SIM112 - OpenSSL's own spelling
    results: list[dict[str, object]] = []
    for name in arguments.only or BENCHES:
        try:
            found = BENCHES[name](place, FULL if arguments.full else QUICK)
        except EvidenceError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        lines = [{**result.as_json(), "sha_instructions": _has_sha() and not masked} for result in found]
        if name in DIGEST_BOUND and _has_sha() and not masked:
            lines += _without_sha(name, arguments)
        results += lines
        if not arguments.json:
            _print(lines)
    if arguments.json:
        print(json.dumps({"machine": _machine(), "results": results}, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed ratios against plain peers, in one run.")
    parser.add_argument("--full", action="store_true", help="the sizes of the plan (needs about 16 GiB of disk)")
    parser.add_argument("--only", action="append", choices=sorted(BENCHES), help="one bench; may be given again")
    parser.add_argument("--json", action="store_true", help="JSON on standard output instead of the table")
    parser.add_argument("--directory", type=Path, default=Path(".cache/bench"), help="where to work; on a disk")
    return parser.parse_args()


def _has_sha() -> bool:
    try:
        return " sha_ni " in Path("/proc/cpuinfo").read_text("ascii", "replace").replace("\n", " ")
    except OSError:
        return False


def _machine() -> dict[str, object]:
    return {"cores": len(os.sched_getaffinity(0)), "sha_instructions": _has_sha()}


def _without_sha(name: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """The same bench in a process whose OpenSSL must not use the SHA instructions: most docking stations have none."""
    command = [sys.executable, __file__, "--json", "--only", name, "--directory", str(arguments.directory)]
    command += ["--full"] if arguments.full else []
    environment = {**os.environ, "OPENSSL_ia32cap": NO_SHA_INSTRUCTIONS}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return list(json.loads(done.stdout)["results"])


def _print(lines: list[dict[str, object]]) -> None:
    for line in lines:
        goal = "" if line["goal"] is None else f"goal {'>=' if line['at_least'] else '<='} {line['goal']:g}"
        met = {True: "met", False: "NOT MET", None: ""}[line["met"]]
        name = f"{line['name']}{'' if line['sha_instructions'] else ' [no SHA instructions]'}"
        value = f"{line['value']:.2f}" if float(line["value"]) < 1000 else f"{line['value']:.0f}"
        print(f"{name:<96}{value:>8} {line['unit']:<3}{goal:<14}{met:<8}{line['note']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
