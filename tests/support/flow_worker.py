"""A worker process for tests: runs jobs that append a line to a file; ``slow`` jobs take their time.

Usage: flow_worker.py URL EXECUTOR FILE [enqueue COUNT | idle]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from evidence.clock import SystemClock
from flow import DbosEngine


def main(url: str, executor: str, file: str, act: str, count: str = "0") -> None:
    def slow(argument: str) -> None:
        with Path(file).open("a") as lines:
            lines.write(f"begin {argument} {executor}\n")
        time.sleep(0.3)
        with Path(file).open("a") as lines:
            lines.write(f"end {argument} {executor}\n")

    engine = DbosEngine(url, clock=SystemClock(), executor_id=executor, poll_s=0.1)
    engine.register("slow", slow)
    engine.declare_queue("work", concurrency=2)
    engine.start()
    if act == "enqueue":
        for number in range(int(count)):
            engine.enqueue("slow", str(number), queue="work", key=f"slow:{number}", priority=number + 1)
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
        if act == "until-empty" and not engine.live_keys():
            break
    engine.stop(timeout_s=2)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
