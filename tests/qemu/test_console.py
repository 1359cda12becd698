# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_console.py: streams to a guest's serial port and channels, and pictures of its screen."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.interop.guest import GREETING, boot_sector
from tests.qemu.conftest import domain_xml, wait_for

NONBLOCK = libvirt.VIR_STREAM_NONBLOCK


@pytest.fixture
def dom(conn: Any, tmp_path: Path) -> Any:
    """A guest that greets on its serial port and answers in the other case."""
    image = tmp_path / "boot.img"
    image.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
    devices = (
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file='{image}'/><target dev='vda' bus='virtio'/></disk>"
        "<channel type='unix'><target type='virtio' name='org.test.0'/></channel>"
        "<graphics type='vnc'/><video><model type='vga'/></video>"
    )
    return conn.createXML(domain_xml(devices=devices), libvirt.VIR_DOMAIN_START_PAUSED)


def refusal(call: Any, *args: Any) -> str:
    with pytest.raises(libvirt.libvirtError) as info:
        call(*args)
    return str(info.value.get_error_message())


def receive(stream: Any, wanted: bytes) -> bytes:
    """What comes until `wanted` has, from a stream that waits."""
    got = b""
    while wanted not in got:
        data = stream.recv(100)
        assert data, f"the stream ended after {got!r}"
        got += data
    return got


def test_console_both_ways(conn: Any, dom: Any) -> None:
    stream = conn.newStream(0)
    assert dom.openConsole(None, stream, 0) == 0
    dom.resume()
    receive(stream, GREETING.strip())
    assert stream.send(b"aBc") == 3
    assert receive(stream, b"AbC").endswith(b"AbC")
    stream.finish()
    again = conn.newStream(NONBLOCK)
    dom.openConsole("serial0", again, 0)
    assert again.recv(10) == -2
    again.abort()


def test_one_console_at_a_time(conn: Any, dom: Any) -> None:
    first, second = conn.newStream(NONBLOCK), conn.newStream(NONBLOCK)
    dom.openConsole(None, first, 0)
    busy = "operation failed: Active console session exists for this domain"
    assert refusal(dom.openConsole, None, second, 0) == busy
    safe = libvirt.VIR_DOMAIN_CONSOLE_SAFE
    assert refusal(dom.openConsole, "serial0", second, safe) == busy
    assert dom.openConsole(None, second, libvirt.VIR_DOMAIN_CONSOLE_FORCE) == 0
    assert refusal(first.recv, 10).endswith("stream is not open")
    assert second.recv(10) == -2
    second.finish()
    assert dom.openConsole(None, conn.newStream(NONBLOCK), 0) == 0


def test_console_by_the_event_loop(conn: Any, dom: Any) -> None:
    stream = conn.newStream(NONBLOCK)
    dom.openConsole(None, stream, 0)
    got: list[bytes] = []

    def readable(stream: Any, events: int, _opaque: Any) -> None:
        assert events & libvirt.VIR_STREAM_EVENT_READABLE
        got.append(stream.recv(100))

    stream.eventAddCallback(libvirt.VIR_STREAM_EVENT_READABLE, readable, None)
    dom.resume()
    assert wait_for(lambda: GREETING.strip() in b"".join(got))
    stream.eventUpdateCallback(libvirt.VIR_STREAM_EVENT_WRITABLE)
    stream.eventRemoveCallback()
    assert "callback registered" in refusal(stream.eventRemoveCallback)
    stream.finish()


def test_whoever_is_cut_is_told(conn: Any, dom: Any) -> None:
    stream = conn.newStream(NONBLOCK)
    dom.openConsole(None, stream, 0)
    heard: list[int] = []
    stream.eventAddCallback(
        libvirt.VIR_STREAM_EVENT_READABLE, lambda _s, events, _o: heard.append(events), None
    )
    other = conn.newStream(NONBLOCK)
    dom.openConsole(None, other, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    assert wait_for(lambda: heard == [libvirt.VIR_STREAM_EVENT_ERROR])


def test_the_end_of_a_guest_is_the_end_of_its_console(conn: Any, dom: Any) -> None:
    stream = conn.newStream(0)
    dom.openConsole(None, stream, 0)
    ends: list[bytes] = []

    def read() -> None:
        while data := stream.recv(100):
            ends.append(data)
        ends.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    dom.destroy()
    reader.join(5.0)
    assert not reader.is_alive()
    assert ends[-1] == b""


def test_wrong_devices(conn: Any, dom: Any) -> None:
    assert refusal(dom.openConsole, "nope", conn.newStream(0), 0) == (
        "internal error: cannot find character device nope"
    )
    assert refusal(dom.openChannel, "nope", conn.newStream(0), 0) == (
        "internal error: cannot find channel nope"
    )
    assert refusal(dom.openConsole, None, conn.newStream(0), 64) == (
        "unsupported flags (0x40) in function qemuDomainOpenConsole"
    )


def test_channel(conn: Any, dom: Any) -> None:
    first, second = conn.newStream(NONBLOCK), conn.newStream(NONBLOCK)
    assert dom.openChannel(None, first, 0) == 0
    assert refusal(dom.openChannel, "org.test.0", second, 0) == (
        "operation failed: Active channel stream exists for this domain"
    )
    assert dom.openChannel("channel0", second, libvirt.VIR_DOMAIN_CHANNEL_FORCE) == 0
    second.finish()


def test_screenshot(conn: Any, dom: Any) -> None:
    stream = conn.newStream(0)
    assert dom.screenshot(stream, 0, 0) == "image/png"
    data = b""
    while piece := stream.recv(1000):
        data += piece
    stream.finish()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    folder = Path(conn._o.driver.host.find(dom._o).run.folder)
    assert not list(folder.glob("screen-*"))
    assert refusal(dom.screenshot, conn.newStream(0), 9, 0) == (
        "Requested operation is not valid: no such screen ID"
    )


def test_screenshot_by_the_event_loop(conn: Any, dom: Any) -> None:
    stream = conn.newStream(NONBLOCK)
    dom.screenshot(stream, 0, 0)
    pieces: list[bytes] = []

    def readable(stream: Any, _events: int, _opaque: Any) -> None:
        pieces.append(stream.recv(1000))
        if pieces[-1] == b"":
            stream.eventRemoveCallback()

    stream.eventAddCallback(libvirt.VIR_STREAM_EVENT_READABLE, readable, None)
    assert wait_for(lambda: pieces and pieces[-1] == b"")
    assert b"".join(pieces).startswith(b"\x89PNG")


def test_a_display_by_descriptor(dom: Any) -> None:
    fd = dom.openGraphicsFD(0, 0)
    with socket.socket(fileno=fd) as display:
        display.settimeout(5.0)
        assert display.recv(12).startswith(b"RFB ")
    assert refusal(dom.openGraphicsFD, 1, 0) == ("internal error: No graphics backend with index 1")
