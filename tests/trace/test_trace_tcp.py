# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_trace_tcp.py: clients by TCP, whose pid no kernel tells, are joined by serial and time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from libvirtcore.trace.join import join
from libvirtcore.trace.record import Span
from tests.ours_daemon import OurDaemon

PYTHON = Path(__file__).resolve().parents[2] / "python"
CALL = {"program": 1, "procedure": 28, "serial": 9}


def _span(pid: int, number: int, layer: str, start: int, end: int, **facts: int) -> Span:
    return Span(pid, number, 0, layer, layer, start, end, CALL | facts)


def test_of_two_calls_with_one_serial_each_has_its_own_answer() -> None:
    """Both enclose both answers in time; what tells is when each was sent and arrived."""
    spans = [
        _span(10, 1, "rpc", 100, 9000, encoded_at=200),
        _span(11, 1, "rpc", 150, 8000, encoded_at=2000),
        _span(20, 1, "dispatch", 2600, 3000, arrived_at=2500),
        _span(20, 2, "dispatch", 4000, 5000, arrived_at=700),
    ]
    trees = join(spans)
    served = {
        tree.span.pid: [c.span.number for c in tree.children if c.span.layer == "dispatch"]
        for tree in trees
    }
    assert served == {10: [2], 11: [1]}


def test_call_that_was_served_once_is_not_joined_twice() -> None:
    spans = [
        _span(10, 1, "rpc", 100, 9000, encoded_at=200),
        _span(20, 1, "dispatch", 400, 500, arrived_at=300),
        _span(20, 2, "dispatch", 600, 700, arrived_at=600),
    ]
    trees = join(spans)
    assert [(tree.span.pid, tree.span.number) for tree in trees] == [(10, 1), (20, 2)]


@pytest.mark.slow
def test_program_joins_the_files_of_tcp_clients_and_their_daemon(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("daemon", "one", "two")]
    with OurDaemon(
        root=tmp_path / "root", tcp=True, environment={"LIBVIRTCORE_TRACE": str(files[0])}
    ) as daemon:
        environment = os.environ | {"PYTHONPATH": str(PYTHON)}
        script = (
            f"import libvirt; conn = libvirt.open({daemon.uri('test', 'tcp')!r});"
            "[conn.lookupByName('test').info() for _ in range(20)]"
        )
        clients = [
            subprocess.Popen(
                [sys.executable, "-c", script], env=environment | {"LIBVIRTCORE_TRACE": str(file)}
            )
            for file in files[1:]
        ]
        assert [client.wait(30) for client in clients] == [0, 0]
    shown = subprocess.run(
        [sys.executable, "-m", "libvirtcore.trace", *map(str, files)],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
    depth: list[str] = []
    paths = []
    for line in shown.splitlines():
        level = (len(line) - len(line.lstrip())) // 2
        depth[level:] = [line.split("  ")[level].strip() if level == 0 else line.strip()]
        if line.strip().startswith("driver: Test.domain_get_info"):
            paths.append([each.split(":")[0] for each in depth])
    assert len(paths) == 40
    assert all(path == ["face", "api", "driver", "rpc", "dispatch", "api", "driver"]
               for path in paths), paths  # fmt: skip
    # Each answer is under the client it went to: both made the same calls with the same serials.
    pids = {client.pid for client in clients}
    heads = [line for line in shown.splitlines() if line.startswith("face: virDomain.info")]
    assert {pid: sum(f"pid {pid}" in line for line in heads) for pid in pids} == dict.fromkeys(
        pids, 20
    )
