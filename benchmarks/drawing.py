# SPDX-License-Identifier: LGPL-2.1-or-later
"""drawing.py: the results as a picture: ratios as bars, and how times grow as curves.

Called by: `python -m benchmarks --plot`. Calls: matplotlib.
Never: is needed to measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.measure import SCALE

if TYPE_CHECKING:
    from benchmarks.measure import Result

_COLOUR = {"met": "tab:green", "missed": "tab:red", "": "tab:blue"}


def plot(results: Sequence[Result], path: str) -> None:
    """Draw the results into a PNG file.

    Raises: ImportError, saying how to get it, when matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError as fault:
        raise ImportError("--plot needs matplotlib: pip install matplotlib") from fault
    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = [r for r in results if r.size is None]
    curves: dict[str, list[Result]] = {}
    for r in results:
        if r.size is not None:
            curves.setdefault(r.name, []).append(r)
    lines = -(-len(curves) // 2)
    tall = [0.24 * len(bars) + 1.2] * bool(bars) + [2.6] * lines
    figure = pyplot.figure(figsize=(11, sum(tall)))
    grid = figure.add_gridspec(len(tall), 2, height_ratios=tall)
    if bars:
        _draw_bars(figure.add_subplot(grid[0, :]), bars)
    for number, (name, points) in enumerate(curves.items()):
        place = grid[bool(bars) + number // 2, number % 2]
        _draw_curve(figure.add_subplot(place), name, points)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _draw_bars(axes: Any, results: Sequence[Result]) -> None:
    rows = range(len(results))
    axes.barh(
        rows, [r.ratio for r in results], height=0.62, color=[_COLOUR[r.verdict] for r in results]
    )
    for row, r in zip(rows, results, strict=True):
        near = r.goal is not None and 0 <= r.goal - r.ratio < 0.08
        right = (r.goal or 0.0) if near else r.ratio
        axes.text(right, row, f" {r.ratio:.2f}", va="center", fontsize=7)
        if r.goal is not None:
            axes.plot([r.goal, r.goal], [row - 0.42, row + 0.42], color="black", linewidth=1.8)
    axes.axvline(1.0, color="grey", linewidth=0.8, linestyle="--")
    axes.set_yticks(rows, [f"{r.title}  (to {r.rival_name})" for r in results], fontsize=7)
    axes.set_xlim(0, max(1.25, *(r.ratio * 1.15 for r in results)))
    axes.set_xlabel("ours / the other's: shorter is better; black mark: goal")
    axes.set_ylim(len(results) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curve(axes: Any, name: str, points: Sequence[Result]) -> None:
    sizes = [r.size for r in points]
    scale = SCALE[points[0].unit]
    axes.plot(sizes, [r.ours * scale for r in points], marker="o", label="ours")
    axes.plot(sizes, [r.rival * scale for r in points], marker="s", label=points[0].rival_name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(name, fontsize=8)
    axes.set_ylabel(points[0].unit, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
