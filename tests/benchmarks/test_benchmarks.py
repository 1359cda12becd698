# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_benchmarks.py: the benchmarks run and print; figures are nobody's business here."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.echo import Echo
from benchmarks.measure import Result, compare, interleave, table

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
# What `import libvirt` must do without: together they take longer to load than all of ours.
SLOW = ("collections", "dataclasses", "inspect", "re", "traceback", "typing", "urllib.parse")


MODULES = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if path.stem not in ("__init__", "__main__", "worker", "guest_worker")  # need a `libvirt`
)


@pytest.mark.parametrize("name", MODULES)
def test_benchmark_modules_import(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}")


def test_codec_prints_its_table() -> None:
    pytest.importorskip("_libvirtmod", reason="the C core is not built")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "codec"],
        capture_output=True, text=True, check=True, cwd=ROOT, env=ENVIRONMENT, timeout=120,
    )  # fmt: skip
    assert "decode a list of 1000 domains" in done.stdout
    assert "≤ 0.25" in done.stdout


def test_unknown_name_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"],
        capture_output=True, text=True, check=False, cwd=ROOT, env=ENVIRONMENT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_interleave_turns_round_and_discards() -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return float(len(order))

    samples = interleave([lambda: run("a"), lambda: run("b")], rounds=2, discard=1)
    assert "".join(order) == "abbaab"
    assert samples == [[4.0, 5.0], [3.0, 6.0]]


def test_disturbed_rounds_do_not_count() -> None:
    result = compare("x", [1.0, 30.0, 1.0, 1.0], [2.0, 2.0, 2.0, 60.0], "other", 0.6)
    assert (result.ours, result.rival, result.ratio, result.verdict) == (1.0, 2.0, 0.5, "met")


def test_echo_answers_with_as_many_bytes_as_asked() -> None:
    echo = Echo(56, 32)
    try:
        peer = echo._peer
        peer.settimeout(10)
        peer.send(bytes(56))
        assert len(peer.recv(100)) == 32
    finally:
        echo.close()


def test_points_of_a_curve_are_told_apart() -> None:
    points = [Result("calls", 1e-6, 2e-6, 0.5, "y", size=n) for n in (10, 100)]
    assert [line.split()[:2] for line in table(points).splitlines()[1:]] == [
        ["calls:", "10"],
        ["calls:", "100"],
    ]


def test_picture_has_bars_and_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.drawing import plot

    bars = [Result("x", 1e-6, 2e-6, 0.5, "y", 0.6)]
    points = [Result("calls", n * 1e-6, n * 2e-6, 0.5, "y", size=n) for n in (10, 100)]
    for number, results in enumerate((bars, points, bars + points)):
        path = tmp_path / f"{number}.png"
        plot(results, str(path))
        assert path.read_bytes().startswith(b"\x89PNG")


def test_table_says_met_and_missed() -> None:
    text = table([Result("x", 1e-6, 2e-6, 0.5, "y", 0.6), Result("z", 1e-6, 1e-6, 1.0, "y", 0.9)])
    assert [line.split()[-1] for line in text.splitlines()[1:]] == ["met", "missed"]


def test_import_libvirt_loads_nothing_slow() -> None:
    script = f"import sys, libvirt; print(*(n for n in {SLOW!r} if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True, text=True, check=True, env=ENVIRONMENT, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == []
