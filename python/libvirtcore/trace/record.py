# SPDX-License-Identifier: LGPL-2.1-or-later
"""record.py: spans as they are made, and where they go.

A span is one layer's part of a call: a name, a beginning and an end on the monotonic clock, which
all processes of a host share, and a few facts. Its parent is whatever span the same context was in.
Called by: instrument (makes spans), trace (chooses the sink), join (reads files).
Never: raises into the call that is traced; keeps more than MAX_SPANS in memory.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

MAX_SPANS = 100_000
MAX_LINE = 1 << 16

_current: ContextVar[int] = ContextVar("libvirtcore_trace_span", default=0)
_numbers = itertools.count(1)  # next() is atomic
_recorder: Recorder | None = None


@dataclass(slots=True)
class Span:
    """One layer's part of a call. Times are monotonic nanoseconds."""

    pid: int
    number: int  # unique in its process
    parent: int  # 0: none in this process
    layer: str  # face, api, driver, rpc, encode, decode, dispatch, job, qmp, event, …
    name: str
    start: int
    end: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def us(self) -> float:
        """Its length in microseconds."""
        return (self.end - self.start) / 1000

    def to_json(self) -> dict[str, Any]:
        return {
            "pid": self.pid, "span": self.number, "parent": self.parent, "layer": self.layer,
            "name": self.name, "start": self.start, "end": self.end, "facts": self.facts,
        }  # fmt: skip


class MemorySink:
    """The latest spans of this process."""

    def __init__(self) -> None:
        self._spans: deque[Span] = deque(maxlen=MAX_SPANS)

    def put(self, span: Span) -> None:
        self._spans.append(span)

    def spans(self) -> list[Span]:
        return list(self._spans)

    def close(self) -> None:
        """Nothing to give back."""


class FileSink:
    """One JSON line per span; several processes may append to one file."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()  # whoever is in a span may end it while we close
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(path, flags, 0o600)
        self._write(
            {
                "process": os.getpid(), "program": sys.argv[0] if sys.argv else "",
                "wall": time.time_ns(), "monotonic": time.monotonic_ns(),
            }
        )  # fmt: skip

    def put(self, span: Span) -> None:
        self._write(span.to_json())

    def _write(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, default=str).encode() + b"\n"
        with self._lock:
            try:
                if self._fd >= 0:
                    os.write(self._fd, line)
            except OSError:
                pass  # a full disk must not fail the call that is traced

    def close(self) -> None:
        """No byte is written any more: the number may soon be another file's."""
        with self._lock:
            os.close(self._fd)
            self._fd = -1


class Recorder:
    """Makes spans and hands them to a sink when they end."""

    def __init__(self, sink: MemorySink | FileSink) -> None:
        self.sink = sink

    @contextmanager
    def span(self, layer: str, name: str, **facts: Any) -> Iterator[Span]:
        """What happens inside belongs to this span."""
        span = Span(
            os.getpid(), next(_numbers), _current.get(), layer, name, time.monotonic_ns(), 0, facts
        )
        token = _current.set(span.number)
        try:
            yield span
        except BaseException as error:
            span.facts["error"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            _current.reset(token)
            span.end = time.monotonic_ns()
            self.sink.put(span)

    def note(self, layer: str, name: str, start: int, end: int, parent: int, **facts: Any) -> None:
        """A span that is over already."""
        span = Span(os.getpid(), next(_numbers), parent, layer, name, start, end, facts)
        self.sink.put(span)


def current_recorder() -> Recorder | None:
    """Who records now."""
    return _recorder


def set_recorder(recorder: Recorder | None) -> None:
    global _recorder
    _recorder = recorder


def read(lines: Iterator[str], name: str) -> tuple[list[Span], dict[int, dict[str, Any]]]:
    """The spans of a file, and what each process says of itself by its pid.

    Raises: ValueError naming the line that is not one of a trace.
    """
    spans: list[Span] = []
    processes: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"{len(line)} characters, at most {MAX_LINE}")
            value: dict[str, Any] = json.loads(line)
            if "process" in value:
                processes[int(value["process"])] = value
                continue
            spans.append(
                Span(
                    int(value["pid"]), int(value["span"]), int(value["parent"]),
                    str(value["layer"]), str(value["name"]), int(value["start"]),
                    int(value["end"]), dict(value["facts"]),
                )
            )  # fmt: skip
        except (ValueError, TypeError, KeyError) as problem:
            raise ValueError(f"{name}:{number}: not a line of a trace ({problem})") from None
    return spans, processes
