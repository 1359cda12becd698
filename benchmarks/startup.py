# SPDX-License-Identifier: LGPL-2.1-or-later
"""startup.py: `import libvirt`, ours against libvirt-python's, each in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.calls import SYSTEM_PYTHON, missing
from benchmarks.measure import Result, interleave

ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = (
    "import time; start = time.perf_counter(); import libvirt; print(time.perf_counter() - start)"
)


def _import(ours: bool) -> float:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if ours:
        import _cffi_backend

        backend = str(Path(_cffi_backend.__file__).parent)
        environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "python"), backend))
    printed = subprocess.run(
        [SYSTEM_PYTHON, "-c", _SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    return float(printed.stdout)


def results() -> list[Result]:
    if reason := missing():
        print(f"startup: {reason} is missing, left out")
        return []
    ours, real = interleave([lambda: _import(True), lambda: _import(False)], rounds=21)
    return [Result("import libvirt", ours, real, "libvirt-python", "≤ 0.60", "ms")]
