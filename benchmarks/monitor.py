# SPDX-License-Identifier: LGPL-2.1-or-later
"""monitor.py: a QMP command: our client against a raw socket and against the `qemu.qmp` package.

The package is fetched by pip into `build/`, once; without it that comparison is left out.
Called by: `python -m benchmarks`. Calls: rivals, monitor_worker.py as a process, measure.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Result, compare
from benchmarks.rivals import ROOT, ours

FOLDER = ROOT / "build" / "benchmarks"
_ROUNDS = 40
_DISCARD = 2
_COUNT = 50


def fetched() -> Path | None:
    """The folder with `qemu.qmp`, or None."""
    if not (FOLDER / "qemu" / "qmp").is_dir():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        quiet = ["--disable-pip-version-check", "--target", str(FOLDER), "qemu.qmp"]
        try:
            subprocess.run(install + quiet, capture_output=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            print("monitor: the package qemu.qmp cannot be had, it is left out")
            return None
    return FOLDER


def results() -> list[Result]:
    if shutil.which("qemu-system-x86_64") is None:
        print("monitor: qemu-system-x86_64 is missing, QMP is left out")
        return []
    command, environment = ours(str(ROOT / "benchmarks" / "monitor_worker.py"))
    package = fetched()
    if package is not None:
        environment["PYTHONPATH"] += f":{package}"
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        names = [name.replace("_", " ") for name in worker.stdout.readline().split()]
        times: dict[str, list[float]] = {name: [] for name in names}
        for number in range(_ROUNDS + _DISCARD):
            worker.stdin.write(f"{_COUNT}\n")
            worker.stdin.flush()
            figures = [float(word) for word in worker.stdout.readline().split()]
            for name, figure in zip(names, figures, strict=True):
                if number >= _DISCARD:
                    times[name].append(figure)
        worker.stdin.close()
    mine, floor = times["ours"], times["raw socket"]
    out = [compare("QMP command", mine, floor, "raw socket", 1.2)]
    if "qemu.qmp" in times:
        out.append(compare("QMP command", mine, times["qemu.qmp"], "qemu.qmp", 0.5))
        both = times["ours, asyncio"], times["qemu.qmp"]
        out.append(compare("QMP command, asyncio", *both, "qemu.qmp"))
    return out
