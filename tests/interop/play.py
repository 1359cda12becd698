# SPDX-License-Identifier: LGPL-2.1-or-later
"""play.py: play call scripts by hand and print what each step gave, or where two sides differ.

    python -m tests.interop.play test/domain                     # the real libvirt, every step
    python -m tests.interop.play test/domain --against ours      # differences of ours
    python -m tests.interop.play sweep/vanished --against pure --transport tcp

Called by: people who write scripts or look for a difference. Needs what the suite needs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.interop import differences, guest, sweep
from tests.interop.compare import compare
from tests.interop.daemon import Daemon, clients, missing
from tests.interop.oracle import CALLS, DRIVERS, Log, Step, Worker, play_on, read_script, scripts

MAX_SHOWN = 200


def all_names() -> list[str]:
    names = [f"{driver}/{path.stem}" for driver in DRIVERS for path in scripts(driver)]
    return names + [f"sweep/{name}" for name in sweep.SWEEPS]


def steps_of(name: str, cache: Path) -> list[Step]:
    if not name.startswith("sweep/"):
        return read_script(CALLS / f"{name}.calls")
    with Daemon(cache=cache) as daemon, Worker(clients()["real"], daemon.machine) as worker:
        return sweep.make(name.partition("/")[2], worker)


def log_of(name: str, steps: list[Step], core: str, transport: str, cache: Path) -> Log:
    driver = name.partition("/")[0]
    driver = driver if driver in DRIVERS else "test"
    with Daemon(cache=cache) as daemon:
        guest.install_images(daemon.images)
        return play_on(daemon, clients()[core], steps, driver, transport)


def show(log: Log) -> None:
    for step, outcome in log.steps:
        if outcome.error is None:
            result = repr(outcome.value)
        else:
            result = f"!! {outcome.error['type']} {outcome.error['text']}"
        print(f"{step}\n    {result[:MAX_SHOWN]}")
        for line in outcome.stderr:
            print(f"    stderr: {line}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.play")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(all_names())}; default: all")
    parser.add_argument("--core", default="real", choices=["real", "ours", "pure"])
    parser.add_argument("--against", choices=["real", "ours", "pure"])
    parser.add_argument("--transport", default="unix", choices=["unix", "tcp"])
    options = parser.parse_args()
    lacks = missing()
    if lacks:
        sys.exit(f"missing: {', '.join(lacks)}")
    count = 0
    with tempfile.TemporaryDirectory(prefix="lvi-cache-") as folder:
        cache = Path(folder)
        with Daemon() as daemon:
            daemon.virsh("capabilities")
            shutil.copytree(daemon.root / "cache", cache, dirs_exist_ok=True)
        for name in options.names or all_names():
            steps = steps_of(name, cache)
            log = log_of(name, steps, options.core, options.transport, cache)
            if options.against is None:
                show(log)
                continue
            other = log_of(name, steps, options.against, options.transport, cache)
            key = name.removeprefix("sweep/")
            found = compare(key, log, other)
            unexpected, unused = differences.split(key, options.transport, found)
            for difference in unexpected:
                print(difference)
            allowed = len(found) - len(unexpected)
            print(f"{name}: {len(steps)} steps, {len(unexpected)} differences, {allowed} allowed")
            for entry in () if options.against == "real" else unused:
                print(f"    allowed but did not occur: {entry}")
            count += len(unexpected)
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
