# SPDX-License-Identifier: LGPL-2.1-or-later
"""console.py: talk to a guest over its serial console, blocking and with stream events.

Run as: console.py URI GUEST-XML-FILE.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import libvirt
from tests.interop.stories.storyteller import Heard, attempt, quiet, run_loop, tell, wait_until

GREETING = b"hello from the guest\r\n"


def read_exactly(stream: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if part == b"":
            break
        if part == -2:
            time.sleep(0.01)
            continue
        data += part
    return data


def main() -> None:
    uri, guest = sys.argv[1], Path(sys.argv[2]).read_text()
    quiet()
    run_loop()
    conn = libvirt.open(uri)
    heard = Heard()
    conn.domainEventRegisterAny(
        None,
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        lambda conn, dom, event, detail, opaque: heard.note("life", event, detail),
        None,
    )
    dom = conn.createXML(guest, libvirt.VIR_DOMAIN_START_PAUSED)

    stream = conn.newStream()
    dom.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    dom.resume()
    text = b""
    while not text.endswith(GREETING):
        text += read_exactly(stream, 1)
    tell("greeting", GREETING)
    for line in (b"abc", b"XYZ", b"a" * 300):
        tell("sent", stream.send(line))
        tell("answer", read_exactly(stream, len(line)))

    second = conn.newStream()
    attempt("second console", dom.openConsole, None, second)
    attempt("abort", stream.abort)
    time.sleep(0.2)

    # the same without blocking, driven by stream events
    stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
    dom.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    got: list[bytes] = []
    ended: list[int] = []
    tell("nothing there", stream.recv(10))

    def on_stream(stream: Any, events: int, opaque: Any) -> None:
        if events & libvirt.VIR_STREAM_EVENT_READABLE:
            part = stream.recv(100)
            if isinstance(part, bytes) and part:
                got.append(part)
        if events & (libvirt.VIR_STREAM_EVENT_HANGUP | libvirt.VIR_STREAM_EVENT_ERROR):
            ended.append(events)
            stream.eventRemoveCallback()

    attempt("add", stream.eventAddCallback, libvirt.VIR_STREAM_EVENT_READABLE, on_stream, "opaque")
    attempt("add again", stream.eventAddCallback, libvirt.VIR_STREAM_EVENT_READABLE, on_stream, 1)
    attempt("update", stream.eventUpdateCallback, 1 | 4 | 8)
    tell("sent", stream.send(b"event"))
    wait_until(lambda: b"".join(got) == b"EVENT", "the echo")
    tell("events gave", b"".join(got))
    attempt("remove", stream.eventRemoveCallback)
    attempt("remove again", stream.eventRemoveCallback)
    attempt("update after", stream.eventUpdateCallback, 1)

    heard.events.clear()
    stream.send(b"q")
    heard.wait(2)
    heard.tell()
    wait_until(lambda: not conn.listAllDomains(), "the guest to go")
    attempt("abort after the end", stream.abort)
    tell("close", conn.close())


main()
