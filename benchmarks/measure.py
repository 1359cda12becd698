# SPDX-License-Identifier: LGPL-2.1-or-later
"""measure.py: interleaved rounds, medians and the table of results.

Called by: the benchmark modules. Never: decides what is good; it prints ratios beside goals.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison: seconds per operation of us and of a rival, and the goal for their ratio."""

    name: str
    ours: float
    rival: float
    rival_name: str
    goal: str = ""
    unit: str = "µs"

    @property
    def ratio(self) -> float:
        return self.ours / self.rival if self.rival else float("nan")


def interleave(
    runs: Sequence[Callable[[], float]], rounds: int = 15, discard: int = 2
) -> list[float]:
    """Call each of `runs` in turn, `rounds` times over; return the median of each."""
    samples: list[list[float]] = [[] for _ in runs]
    for round_number in range(rounds + discard):
        for index, run in enumerate(runs):
            seconds = run()
            if round_number >= discard:
                samples[index].append(seconds)
    return [statistics.median(values) for values in samples]


def table(results: Sequence[Result]) -> str:
    """Return the results as an aligned text table."""
    rows = [("benchmark", "ours", "rival", "", "ratio", "goal")]
    for r in results:
        scale = {"µs": 1e6, "ms": 1e3, "s": 1.0, "": 1.0}[r.unit]
        rows.append(
            (
                r.name,
                f"{r.ours * scale:.2f} {r.unit}",
                f"{r.rival * scale:.2f} {r.unit}",
                r.rival_name,
                f"{r.ratio:.2f}×",
                r.goal,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def plot(results: Sequence[Result], path: str) -> None:
    """Draw the ratios as a bar chart into a PNG file.

    Raises: ImportError naming the extra when matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError as fault:
        raise ImportError("plots need matplotlib: pip install libvirtcore[bench]") from fault
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.5 * len(results) + 1.5))
    labels = [f"{r.name}\nagainst {r.rival_name}" for r in results]
    ratios = [r.ratio for r in results]
    colours = ["tab:green" if ratio <= 1 else "tab:orange" for ratio in ratios]
    axes.barh(labels, ratios, color=colours)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("our time / rival's time (log scale, left of 1 is faster)")
    axes.invert_yaxis()
    for index, ratio in enumerate(ratios):
        axes.text(ratio, index, f" {ratio:.2f}×", va="center", fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
