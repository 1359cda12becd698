# SPDX-License-Identifier: LGPL-2.1-or-later
"""`python -m libvirtcore.trace FILE… [--otel]`: show recorded calls as trees, or as OTLP/JSON."""

from __future__ import annotations

import argparse
import json
import sys

from libvirtcore.trace.join import join, text
from libvirtcore.trace.otel import export
from libvirtcore.trace.record import Span, read


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m libvirtcore.trace", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="written by LIBVIRTCORE_TRACE")
    parser.add_argument("--otel", action="store_true", help="print OpenTelemetry's JSON")
    options = parser.parse_args(arguments)
    spans: list[Span] = []
    offset: int | None = None
    for name in options.files:
        try:
            with open(name, encoding="utf-8", errors="replace") as lines:
                found, processes = read(iter(lines), name)
        except (OSError, ValueError) as problem:
            print(f"libvirtcore.trace: {problem}", file=sys.stderr)
            return 1
        spans += found
        for process in processes.values():
            offset = int(process["wall"]) - int(process["monotonic"])
    trees = join(spans)
    if options.otel:
        json.dump(export(trees, offset), sys.stdout, indent=1)
        print()
    else:
        print(text(trees))
    return 0


if __name__ == "__main__":
    sys.exit(main())
