# SPDX-License-Identifier: LGPL-2.1-or-later
"""measure.py: interleaved rounds, what they say, the table.

The rivals of a comparison run in turn, many short rounds of it, so that what slows the machine down
for a while meets both. What disturbs a round only adds time: the figure of each rival is therefore
the lower quartile of its rounds, and the ratio is that of these figures.
Called by: the benchmark modules. Never: decides what is good; it prints ratios beside goals.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

SCALE = {"µs": 1e6, "ms": 1e3, "s": 1.0, "MiB": 1.0 / (1 << 20), "": 1.0}


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison: ours and the rival's seconds per operation (or bytes), and at most what ratio
    is hoped for. With `size` it is a point of the curve named `name`: how it grows with that."""

    name: str
    ours: float
    rival: float
    ratio: float
    rival_name: str
    goal: float | None = None
    unit: str = "µs"
    size: int | None = None

    @property
    def title(self) -> str:
        return self.name if self.size is None else f"{self.name}: {self.size}"

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "met" if self.ratio <= self.goal else "missed"


def interleave(
    runs: Sequence[Callable[[], float]], rounds: int = 40, discard: int = 2
) -> list[list[float]]:
    """Call all of `runs` in turn, every other round backwards; the figures of each, by round."""
    samples: list[list[float]] = [[] for _ in runs]
    order = list(range(len(runs)))
    for number in range(rounds + discard):
        for index in order:
            figure = runs[index]()
            if number >= discard:
                samples[index].append(figure)
        order.reverse()
    return samples


def compare(
    name: str,
    ours: Sequence[float],
    rival: Sequence[float],
    rival_name: str,
    goal: float | None = None,
    unit: str = "µs",
    size: int | None = None,
) -> Result:
    """What the samples of two rivals, taken in the same rounds, say."""
    mine, other = quartile(ours), quartile(rival)
    return Result(name, mine, other, mine / other, rival_name, goal, unit, size)


def quartile(samples: Sequence[float]) -> float:
    """The value that a quarter of the samples stay below."""
    return statistics.quantiles(samples, n=4, method="inclusive")[0]


def timed(call: Callable[[], Any], count: int) -> Callable[[], float]:
    """A run for `interleave`: seconds of one call, the mean over `count`."""

    def run() -> float:
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count

    return run


def table(results: Sequence[Result]) -> str:
    """The results as aligned text."""
    rows = [("benchmark", "ours", "rival", "", "ratio", "goal", "")]
    for r in results:
        scale = SCALE[r.unit]
        rows.append(
            (
                r.title,
                f"{r.ours * scale:.2f} {r.unit}",
                f"{r.rival * scale:.2f} {r.unit}",
                r.rival_name,
                f"{r.ratio:.2f}",
                "" if r.goal is None else f"≤ {r.goal:.2f}",
                r.verdict,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = (1, 2, 4, 5)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
