# SPDX-License-Identifier: LGPL-2.1-or-later
"""otel.py: joined traces in the JSON form of OpenTelemetry's protocol (OTLP/JSON).

Called by: trace. Calls: join (Node). Never: sends anything; collectors take the file or a POST of
it to /v1/traces.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from libvirtcore.trace.join import Node
from libvirtcore.trace.record import Span

_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_KINDS = {"rpc": _CLIENT, "qmp": _CLIENT, "dispatch": _SERVER}
_ERROR = 2


def export(trees: Iterable[Node], offset: int | None = None) -> dict[str, Any]:
    """An ExportTraceServiceRequest: one resource per process, one trace per tree.

    `offset` is what wall-clock nanoseconds have over monotonic ones; None asks this host's clocks.
    """
    if offset is None:
        offset = time.time_ns() - time.monotonic_ns()
    by_process: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for tree in trees:
        trace = _identity(tree.span, "trace")[:32]
        _spans(tree, None, trace, offset, by_process)
    return {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [
                        _attribute("service.name", "libvirtcore"),
                        _attribute("process.pid", pid),
                    ]
                },
                "scopeSpans": [{"scope": {"name": "libvirtcore.trace"}, "spans": spans}],
            }
            for pid, spans in sorted(by_process.items())
        ]
    }


def _identity(span: Span, salt: str) -> str:
    seed = f"{salt} {span.pid} {span.number} {span.start} {span.layer} {span.name}"
    return hashlib.sha256(seed.encode()).hexdigest()


def _spans(
    node: Node, parent: str | None, trace: str, offset: int, out: dict[int, list[dict[str, Any]]]
) -> None:
    span = node.span
    identity = _identity(span, "span")[:16]
    value: dict[str, Any] = {
        "traceId": trace,
        "spanId": identity,
        "name": f"{span.layer}: {span.name}",
        "kind": _KINDS.get(span.layer, _INTERNAL),
        "startTimeUnixNano": str(span.start + offset),
        "endTimeUnixNano": str(span.end + offset),
        "attributes": [_attribute(f"libvirt.{k}", v) for k, v in span.facts.items()],
    }
    if parent is not None:
        value["parentSpanId"] = parent
    if "error" in span.facts:
        value["status"] = {"code": _ERROR, "message": str(span.facts["error"])}
    out[span.pid].append(value)
    for child in node.children:
        _spans(child, identity, trace, offset, out)


def _attribute(key: str, value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": str(value)}}
