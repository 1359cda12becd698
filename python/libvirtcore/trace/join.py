# SPDX-License-Identifier: LGPL-2.1-or-later
"""join.py: spans of several processes, put together into one tree per call.

Within a process a span names its parent. Between processes an RPC is known by program, procedure
and serial, and by the client's pid where the server could ask the kernel for it (not by TCP); of
several whose time encloses the other's, the one that was sent just before it arrived. What lies
between two processes' spans (the way there, the wait in the server's queue, the way back) becomes
spans of its own.
Called by: trace, otel. Calls: record (Span).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from libvirtcore.trace.record import Span

_SLACK = 5_000_000  # ns that an answer's sender may still need after the receiver has it
_EVENT_WAIT = 2_000_000_000  # ns after a monitor command in which its event is looked for


@dataclass(slots=True)
class Node:
    """A span and what happened inside it."""

    span: Span
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """This node and all below, in the order of time."""
        yield self
        for child in self.children:
            yield from child.walk()


def join(spans: Iterable[Span]) -> list[Node]:
    """One tree per call, by the time of their beginnings."""
    nodes = {(span.pid, span.number): Node(span) for span in spans}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get((node.span.pid, node.span.parent))
        (parent.children if parent is not None else roots).append(node)
    roots = _join_calls(roots, list(nodes.values()))
    roots = _join_events(roots)
    for node in nodes.values():
        node.children.sort(key=lambda child: (child.span.start, child.span.end))
    return sorted(roots, key=lambda node: node.span.start)


def _key(span: Span) -> tuple[object, object, object]:
    return (span.facts.get("program"), span.facts.get("procedure"), span.facts.get("serial"))


def _join_calls(roots: list[Node], nodes: list[Node]) -> list[Node]:
    calls: dict[tuple[object, object, object], list[Node]] = defaultdict(list)
    for node in nodes:
        if node.span.layer == "rpc":
            calls[_key(node.span)].append(node)
    left: list[Node] = []
    for root in sorted(roots, key=lambda node: node.span.start):
        fitting = calls.get(_key(root.span), [])
        call = _caller(root.span, fitting) if _served(root) else None
        if call is None:
            left.append(root)
            continue
        fitting.remove(call)  # a call is served once
        _between(call, root)
        call.children.append(root)
    return left


def _served(node: Node) -> bool:
    return node.span.layer == "dispatch" and node.span.facts.get("serial") is not None


def _caller(served: Span, calls: list[Node]) -> Node | None:
    pid = served.facts.get("client_pid")
    fitting = [
        node
        for node in calls
        if (not pid or node.span.pid == pid)
        and node.span.start <= served.start
        and served.start <= node.span.end + _SLACK
    ]
    arrived = served.facts.get("arrived_at", served.start)
    return min(
        fitting,
        key=lambda node: abs(arrived - node.span.facts.get("encoded_at", node.span.start)),
        default=None,
    )


def _between(call: Node, served: Node) -> None:
    """The times that belong to neither process's Python."""
    span, other = call.span, served.span
    encoded = span.facts.get("encoded_at")  # the peer may have it before the sender is told so
    arrived = other.facts.get("arrived_at")
    answered = span.facts.get("answered_at")

    def add(layer: str, name: str, start: object, end: object) -> None:
        if isinstance(start, int) and isinstance(end, int) and start <= end:
            call.children.append(Node(Span(span.pid, 0, span.number, layer, name, start, end)))

    add("socket", "to the server", encoded, arrived if arrived is not None else other.start)
    add("queue", "server queue", arrived, other.start)
    add("socket", "to the client", other.end, answered)


def _join_events(roots: list[Node]) -> list[Node]:
    """A monitor's event under the command that caused it, what clients are told under that, and
    what they hear under that."""
    by_layer: dict[str, list[Node]] = defaultdict(list)
    for root in roots:
        for node in root.walk():
            by_layer[node.span.layer].append(node)
    left: list[Node] = []
    for root in sorted(roots, key=lambda node: node.span.start):
        layer = root.span.layer
        above: Node | None = None
        if layer == "qmp event":
            above = _cause(root.span, by_layer["qmp"], "monitor")
        elif layer == "event sent":
            above = _cause(root.span, by_layer["qmp event"], "guest")
        elif layer == "event received":
            above = _sending(root.span, by_layer["event sent"])
            if above is not None:
                by_layer["event sent"].remove(above)
        (above.children if above is not None else left).append(root)
    return left


def _cause(effect: Span, causes: list[Node], same: str) -> Node | None:
    """The latest of the process's causes, of the same guest or monitor, shortly before."""
    fitting = [
        node
        for node in causes
        if node.span.pid == effect.pid
        and node.span.facts.get(same) == effect.facts.get(same)
        and node.span.start <= effect.start <= node.span.end + _EVENT_WAIT
    ]
    return max(fitting, key=lambda node: node.span.start, default=None)


def _sending(arrival: Span, sendings: list[Node]) -> Node | None:
    fitting = [
        node
        for node in sendings
        if node.span.facts.get("procedure") == arrival.facts.get("procedure")
        and node.span.facts.get("client_pid") in (None, arrival.pid)
        and node.span.start <= arrival.end
    ]
    return min(fitting, key=lambda node: arrival.end - node.span.start, default=None)


def text(trees: Iterable[Node]) -> str:
    """One line per span: what it is, how long it took, where it ran."""
    rows: list[tuple[str, str, str]] = []
    for tree in trees:
        _rows(tree, 0, 0, rows)
    width = max((len(row[0]) for row in rows), default=0)
    return "\n".join(f"{what:<{width}}  {took:>12}  {more}".rstrip() for what, took, more in rows)


_SHOWN = ("serial", "guest", "client", "sent", "received", "status", "error")


def _rows(node: Node, depth: int, pid: int, rows: list[tuple[str, str, str]]) -> None:
    span = node.span
    more = [f"pid {span.pid}"] if span.pid != pid else []
    more += [f"{name}={span.facts[name]}" for name in _SHOWN if name in span.facts]
    rows.append((f"{'  ' * depth}{span.layer}: {span.name}", f"{span.us:.1f} µs", " ".join(more)))
    for child in node.children:
        _rows(child, depth + 1, span.pid, rows)
