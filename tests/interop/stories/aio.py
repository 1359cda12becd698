# SPDX-License-Identifier: LGPL-2.1-or-later
"""aio.py: events and streams through asyncio with libvirtaio.

Run as: aio.py URI GUEST-XML-FILE.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import libvirt
import libvirtaio
from tests.interop.stories.storyteller import quiet, tell


async def story(uri: str, guest: str) -> None:
    implementation = libvirtaio.virEventRegisterAsyncIOImpl()
    tell("loop", implementation.loop is asyncio.get_running_loop())
    conn = libvirt.open(uri)
    events: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def lifecycle(conn: Any, dom: Any, event: int, detail: int, opaque: Any) -> None:
        same = asyncio.get_running_loop() is loop
        if event != libvirt.VIR_DOMAIN_EVENT_SHUTDOWN:  # may or may not come before the kill
            events.put_nowait((dom.name(), event, detail, opaque, same))

    number = conn.domainEventRegisterAny(
        None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, "opaque"
    )
    conn.setKeepAlive(1, 3)
    dom = conn.createXML(guest, libvirt.VIR_DOMAIN_START_PAUSED)

    async def heard(count: int) -> None:
        for _ in range(count):
            tell("event", await asyncio.wait_for(events.get(), 20))

    await heard(2)
    dom.resume()
    await heard(1)
    dom.suspend()
    await heard(1)

    stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
    dom.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    dom.resume()
    await heard(1)
    got: asyncio.Queue[bytes] = asyncio.Queue()

    def readable(stream: Any, mask: int, opaque: Any) -> None:
        data = stream.recv(1024)
        if isinstance(data, bytes):
            got.put_nowait(data)

    stream.eventAddCallback(libvirt.VIR_STREAM_EVENT_READABLE, readable, None)
    text = b""
    while not text.endswith(b"guest\r\n"):
        text += await asyncio.wait_for(got.get(), 20)
    stream.send(b"async")
    answer = b""
    while len(answer) < 5:
        answer += await asyncio.wait_for(got.get(), 20)
    tell("answer", answer)
    stream.eventRemoveCallback()
    stream.abort()
    await asyncio.sleep(2.5)  # keepalive is at work meanwhile
    tell("alive", conn.isAlive())
    dom.destroy()
    await heard(1)
    conn.domainEventDeregisterAny(number)
    conn.close()


def main() -> None:
    quiet()
    asyncio.run(story(sys.argv[1], Path(sys.argv[2]).read_text()))


main()
