"""A worker process for tests: runs jobs that append a line to a file; ``slow`` jobs take their time, ``poison`` ends it.

Usage: flow_worker.py URL EXECUTOR FILE [enqueue COUNT | until-empty | poison | idle]
"""

from __future__ import annotations

import os
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

    def poison(argument: str) -> None:
        with Path(file).open("a") as lines:
            lines.write(f"begin {argument} {executor}\n")
        os._exit(9)

    engine = DbosEngine(url, clock=SystemClock(), executor_id=executor, poll_s=0.1)
    engine.register("slow", slow)
    engine.register("poison", poison)
    engine.declare_queue("work", concurrency=2)
    engine.start()
    if act == "enqueue":
        for number in range(int(count)):
            engine.enqueue("slow", str(number), queue="work", key=f"slow:{number}", priority=number + 1)
    if act == "poison":
        engine.enqueue("poison", "poison", queue="work", key="poison", priority=1)
    print("ready", flush=True)
    end = time.monotonic() + 2
    while True:
        time.sleep(0.1)
        if act == "poison" and time.monotonic() > end:
            break
        if act == "until-empty" and not engine.live_keys():
            break
    engine.stop(timeout_s=2)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
