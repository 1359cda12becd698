# SPDX-License-Identifier: LGPL-2.1-or-later
"""`python -m benchmarks [NAME…] [--plot FILE]`: run the benchmarks and print one table."""

from __future__ import annotations

import argparse
import importlib
import platform

from benchmarks.measure import Result, table

NAMES = (
    "codec", "wire", "calls", "daemon", "guests", "monitor", "memory", "cold", "growth", "startup",
)  # fmt: skip


def machine() -> str:
    """Processor, kernel and Python."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("model name"):
                    model = line.partition(":")[2].strip()
                    break
    except OSError:
        pass
    release = platform.release().partition("-")[0]
    return f"{model}, {platform.system()} {release}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; or all")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios into this PNG file")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    results: list[Result] = []
    for name in options.names or NAMES:
        results += importlib.import_module(f"benchmarks.{name}").results()
    print(machine())
    print(table(results))
    if options.plot and results:
        from benchmarks.drawing import plot

        plot(results, options.plot)
        print(f"plot: {options.plot}")


if __name__ == "__main__":
    main()
