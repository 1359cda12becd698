# SPDX-License-Identifier: LGPL-2.1-or-later
"""startup.py: `import libvirt`, ours against libvirt-python's, in fresh processes.

Called by: `python -m benchmarks`. Calls: rivals, measure.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from benchmarks.measure import Result, compare, interleave
from benchmarks.rivals import missing, ours, real

_IMPORT = (
    "import time; start = time.perf_counter(); import libvirt; print(time.perf_counter() - start)"
)


def _run(command: list[str], environment: dict[str, str]) -> Callable[[], float]:
    def run() -> float:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return float(done.stdout)

    return run


def results() -> list[Result]:
    if lack := missing():
        print(f"startup: {lack} is missing, the comparison with it is left out")
        return []
    mine, rival = interleave([_run(*ours("-c", _IMPORT)), _run(*real("-c", _IMPORT))], rounds=31)
    return [compare("import libvirt", mine, rival, "libvirt-python", 0.6, "ms")]
