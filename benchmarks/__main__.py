# SPDX-License-Identifier: LGPL-2.1-or-later
"""`python -m benchmarks [NAME…] [--plot FILE]`: run the benchmarks and print one table."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.measure import Result, plot, table

NAMES = ("codec", "wire", "calls", "startup")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], default=[], metavar="NAME")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios into this PNG file")
    options = parser.parse_args()
    results: list[Result] = []
    for name in options.names or NAMES:
        results += importlib.import_module(f"benchmarks.{name}").results()
    print(table(results))
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
