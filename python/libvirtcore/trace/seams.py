# SPDX-License-Identifier: LGPL-2.1-or-later
"""seams.py: the places below the API layer where a trace looks: RPC clients, server, driver, QMP.

Each seam is a class and a method that all calls of a kind go through. A module that is not loaded
has no calls to be seen and is left alone.
Called by: instrument. Calls: record.
Never: imports a layer that the process does not use.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.trace.record import Recorder, Span

Replace = Callable[[Any, str, Callable[[Any], Any]], None]

_touched: weakref.WeakSet[Any] = weakref.WeakSet()  # clients that keep times for us


def _quiet(*_what: Any) -> None:
    """Stands in for a tracer: it makes the client take the path that ends in `_end`."""


def _class(module: str, name: str) -> Any:
    loaded = sys.modules.get(module)
    return None if loaded is None else getattr(loaded, name, None)


def install(recorder: Recorder, replace: Replace) -> None:
    """Measure at every seam of what is loaded."""
    client = _class("libvirtcore.core", "Client")
    driver = _class("libvirtcore.drivers.remote.driver", "RemoteDriver")
    if driver is not None:
        for name in ("_call", "send", "submit", "_call_fds", "_call_stream"):
            replace(driver, name, lambda plain: _watched(plain))
    if client is not None:
        replace(client, "_end", lambda plain: _ended(recorder, plain))
        replace(client, "next_event", lambda plain: _event(recorder, plain))
    session = _class("libvirtd.session", "Session")
    if session is not None:
        replace(session, "call", lambda plain: _served(recorder, plain))
    registration = _class("libvirtd.events", "Registration")
    if registration is not None:
        replace(registration, "deliver", lambda plain: _told(recorder, plain))
    jobs = _class("libvirtcore.drivers.qemu.job", "Jobs")
    if jobs is not None:
        replace(jobs, "acquire", lambda plain: _waited(recorder, plain))
    monitor = _class("libvirtcore.drivers.qemu.monitor", "Monitor")
    if monitor is not None:
        replace(monitor, "execute", lambda plain: _commanded(recorder, plain))
        replace(monitor, "execute_many", lambda plain: _commanded_many(recorder, plain))
    for name in ("start", "reconnect"):  # whoever opens a monitor imported the handler by name
        module = sys.modules.get(f"libvirtcore.drivers.qemu.{name}")
        if module is not None:
            replace(module, "handle_event", lambda plain: _heard(recorder, plain))


def remove() -> None:
    """Clients no longer keep times."""
    for client in list(_touched):
        client.keep_times(False)
        if client._trace is _quiet:
            client._trace = None
    _touched.clear()


# --- the RPC client -------------------------------------------------------------------------------


def _watched(plain: Any) -> Any:
    """Before the first call of a connection: have its client keep times."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = self.client
        if client not in _touched and hasattr(client, "keep_times"):
            _touched.add(client)
            client.keep_times(True)
            if client._trace is None:
                client._trace = _quiet
        return plain(self, *args, **kwargs)

    return call


def _ended(recorder: Recorder, plain: Any) -> Any:
    def end(self: Any, slot: Any, outcome: int, began: int) -> Any:
        with recorder.span("rpc", "") as span:
            span.start = began or span.start
            try:
                return plain(self, slot, outcome, began)
            finally:
                _describe(recorder, span, slot.report)

    return end


def _describe(recorder: Recorder, span: Span, report: Any) -> None:
    """What the core's report says of a call: its name, its times, its bytes."""
    now = monotonic_ns()
    span.name = procedure_name(report.program, report.procedure)
    span.facts |= {
        "program": int(report.program), "procedure": int(report.procedure),
        "serial": int(report.serial), "sent": int(report.sent), "received": int(report.received),
    }  # fmt: skip
    encoded, sent, answered = int(report.encoded_ns), int(report.sent_ns), int(report.answered_ns)
    if encoded >= span.start:  # a pipelined call was sent before anybody waited for it
        recorder.note("encode", "arguments", span.start, encoded, span.number)
        recorder.note("send", "to the socket", encoded, sent, span.number)
    if encoded:
        span.facts["encoded_at"] = encoded
    if answered:
        span.facts["answered_at"] = answered
        recorder.note("decode", "reply", answered, now, span.number)


def _event(recorder: Recorder, plain: Any) -> Any:
    def next_event(self: Any) -> Any:
        found = plain(self)
        if found is not None:
            now = monotonic_ns()
            recorder.note(
                "event received", procedure_name(found[0], found[1]), now, now, 0,
                program=found[0], procedure=found[1],
            )  # fmt: skip
        return found

    return next_event


# --- the daemon -----------------------------------------------------------------------------------


def procedure_name(program: int, number: int) -> str:
    """What a procedure is called, or its number."""
    known = PROGRAMS.get(program)
    found = known.procedures[number] if known and 0 < number < len(known.procedures) else None
    return found.name if found is not None else str(number)


def _served(recorder: Recorder, plain: Any) -> Any:
    def call(self: Any, worker: Any) -> Any:
        facts: dict[str, Any] = {
            "program": worker.program, "procedure": worker.procedure, "serial": worker.serial,
            "client": worker.client,
        }  # fmt: skip
        if self.identity.pid > 0:
            facts["client_pid"] = self.identity.pid
        facts["arrived_at"] = int(worker.received * 1e9)
        name = procedure_name(worker.program, worker.procedure)
        with recorder.span("dispatch", name, **facts):
            return plain(self, worker)

    return call


def _told(recorder: Recorder, plain: Any) -> Any:
    def deliver(self: Any, handle: Any, args: Any) -> Any:
        program, procedure, _ = self.message(handle.wire, args)
        facts = {"program": program, "procedure": procedure, "guest": getattr(handle, "name", "")}
        pid = self.session.identity.pid
        if pid > 0:
            facts["client_pid"] = pid
        with recorder.span("event sent", procedure_name(program, procedure), **facts):
            return plain(self, handle, args)

    return deliver


# --- the QEMU driver ------------------------------------------------------------------------------


def _waited(recorder: Recorder, plain: Any) -> Any:
    def acquire(self: Any, kind: int, name: str, seconds: float) -> Any:
        with recorder.span("job", name):
            return plain(self, kind, name, seconds)

    return acquire


def _commanded(recorder: Recorder, plain: Any) -> Any:
    def execute(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        with recorder.span("qmp", name, monitor=id(self)):
            return plain(self, name, *args, **kwargs)

    return execute


def _commanded_many(recorder: Recorder, plain: Any) -> Any:
    def execute_many(self: Any, commands: Any, *args: Any, **kwargs: Any) -> Any:
        title = ", ".join(command[0] for command in commands[:4])
        with recorder.span("qmp", title, commands=len(commands), monitor=id(self)):
            return plain(self, commands, *args, **kwargs)

    return execute_many


def _heard(recorder: Recorder, plain: Any) -> Any:
    def handle_event(guest: Any, run: Any, event: Any) -> Any:
        with recorder.span("qmp event", event.name, guest=guest.name, monitor=id(run.monitor)):
            return plain(guest, run, event)

    return handle_event
