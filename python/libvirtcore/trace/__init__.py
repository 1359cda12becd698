# SPDX-License-Identifier: LGPL-2.1-or-later
"""trace: one call, seen through every layer and every process that it passes.

    with libvirtcore.trace.record() as seen:
        dom.resume()
    print(seen.text())

or, for programs as they are: `LIBVIRTCORE_TRACE=/tmp/t.jsonl` in the environment of each process
(several may share the file), then `python -m libvirtcore.trace /tmp/t.jsonl`.

While nothing records, nothing is measured and nothing is paid: recording replaces functions at the
seams between the layers (instrument) and puts them back at the end.
Called by: users, libvirt.py and libvirtd (start_from_environment).
Calls: record, instrument, join, otel.
"""

from __future__ import annotations

import os
from importlib import import_module

from libvirtcore.trace.instrument import install, remove
from libvirtcore.trace.join import Node, join, text
from libvirtcore.trace.otel import export
from libvirtcore.trace.record import FileSink, MemorySink, Recorder, Span, current_recorder

__all__ = ["Recording", "Span", "record", "start", "start_from_environment", "stop"]


class Recording:
    """What a `record()` block has seen; complete once the block has ended."""

    def __init__(self, sink: MemorySink) -> None:
        self._sink = sink

    @property
    def spans(self) -> list[Span]:
        """Every span, in the order in which they ended."""
        return self._sink.spans()

    def trees(self) -> list[Node]:
        """One tree per call, in the order of time."""
        return join(self.spans)

    def text(self) -> str:
        """The trees for people to read: one line per span, durations in µs."""
        return text(self.trees())

    def otel(self) -> dict[str, object]:
        """The same as an OpenTelemetry ExportTraceServiceRequest (OTLP/JSON)."""
        return export(self.trees())


class record:  # reads like the function it stands for
    """Record all calls of this process while the `with` block runs; not in two blocks at once.

    Raises: RuntimeError when something records already.
    """

    def __init__(self) -> None:
        self._sink = MemorySink()

    def __enter__(self) -> Recording:
        start_with(self._sink)
        return Recording(self._sink)

    def __exit__(self, *_exception: object) -> None:
        stop()


def start(path: str) -> None:
    """Append the spans of this process to a file, one JSON line each, until `stop()`.

    Raises: OSError when the file cannot be opened; RuntimeError when something records already.
    """
    start_with(FileSink(path))


def start_with(sink: FileSink | MemorySink) -> None:
    """Record into a sink."""
    if current_recorder() is not None:
        sink.close()
        raise RuntimeError("a trace is being recorded already")
    install(Recorder(sink))


def stop() -> None:
    """Put everything back as it was; does nothing when nothing records."""
    recorder = current_recorder()
    if recorder is not None:
        remove()
        recorder.sink.close()


def start_from_environment(*modules: str) -> None:
    """Begin if LIBVIRTCORE_TRACE names a file; a file that cannot be used is reported once.

    `modules` are those whose seams the program will use; they are loaded now, as only what is
    loaded can be measured.
    """
    path = os.environ.get("LIBVIRTCORE_TRACE")
    if not path or current_recorder() is not None:
        return
    for module in modules:
        import_module(module)
    try:
        start(path)
    except OSError as problem:
        from libvirtcore.log import ERROR, log

        log(ERROR, "trace", f"LIBVIRTCORE_TRACE: {problem}")
