# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_trace.py: a recorded call shows its layers; nothing is left behind when recording ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import libvirt
from libvirtcore import trace
from libvirtcore.api import call as api
from libvirtcore.trace.join import join
from libvirtcore.trace.record import Span, read

PYTHON = Path(__file__).resolve().parents[2] / "python"


def test_layers_of_a_call_in_process() -> None:
    conn = libvirt.open("test:///default")
    dom = conn.lookupByName("test")
    with trace.record() as seen:
        state = dom.info()[0]
    assert state == libvirt.VIR_DOMAIN_RUNNING
    (tree,) = seen.trees()
    path = [(node.span.layer, node.span.name) for node in tree.walk()]
    assert path == [
        ("face", "virDomain.info"),
        ("api", "virDomainGetInfo"),
        ("driver", "Test.domain_get_info"),
    ]
    spans = [node.span for node in tree.walk()]
    for outer, inner in pairwise(spans):
        assert outer.start <= inner.start <= inner.end <= outer.end


def test_errors_are_recorded_and_raised_as_ever(capfd: pytest.CaptureFixture[str]) -> None:
    conn = libvirt.open("test:///default")
    with trace.record() as seen, pytest.raises(libvirt.libvirtError, match="not found"):
        conn.lookupByName("nobody")
    assert "Domain not found" in seen.spans[-1].facts["error"]
    assert "Domain not found" in seen.text()


def test_everything_is_put_back() -> None:
    door = import_module("libvirtcore.generated.door_domain")
    before = (door.call, api.call, libvirt.virDomain.info, libvirt.open)
    with trace.record():
        assert door.call is not before[0]
        with pytest.raises(RuntimeError), trace.record():
            pass
    assert (door.call, api.call, libvirt.virDomain.info, libvirt.open) == before


def test_file_of_a_program_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    script = "import libvirt; libvirt.open('test:///default').lookupByName('test').suspend()"
    environment = os.environ | {"LIBVIRTCORE_TRACE": str(path), "PYTHONPATH": str(PYTHON)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    assert path.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(
        [sys.executable, "-m", "libvirtcore.trace", str(path)],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
    assert "    driver: Test.domain_suspend" in shown
    otel = subprocess.run(
        [sys.executable, "-m", "libvirtcore.trace", "--otel", str(path)],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
    (resource,) = json.loads(otel)["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    child = next(s for s in spans if s["name"] == "api: virDomainSuspend")
    parent = next(s for s in spans if s["spanId"] == child["parentSpanId"])
    assert parent["name"] == "face: virDomain.suspend"
    assert child["traceId"] == parent["traceId"] and len(child["traceId"]) == 32
    assert int(parent["startTimeUnixNano"]) <= int(child["startTimeUnixNano"])


def test_broken_file_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x:2: not a line of a trace"):
        read(iter(['{"process": 1, "wall": 2, "monotonic": 1}', "[1, 2"]), "x")


def _span(pid: int, number: int, parent: int, layer: str, start: int, end: int, **f: int) -> Span:
    return Span(pid, number, parent, layer, layer, start, end, dict(f))


def test_calls_of_two_processes_are_joined_by_serial() -> None:
    call = {"program": 1, "procedure": 28, "serial": 9}
    spans = [
        _span(10, 1, 0, "rpc", 100, 1000, **call, encoded_at=200, answered_at=900),
        _span(11, 1, 0, "rpc", 100, 1000, **call),
        _span(20, 1, 0, "dispatch", 400, 800, **call, client_pid=10, arrived_at=300),
        _span(20, 2, 1, "driver", 500, 600),
        _span(20, 3, 0, "dispatch", 400, 800, program=1, procedure=28, serial=10, client_pid=10),
    ]
    trees = join(spans)
    assert [(t.span.pid, t.span.number) for t in trees] == [(10, 1), (11, 1), (20, 3)]
    inside = [(c.span.layer, c.span.start, c.span.end) for c in trees[0].children]
    assert inside == [
        ("socket", 200, 300),
        ("queue", 300, 400),
        ("dispatch", 400, 800),
        ("socket", 800, 900),
    ]
