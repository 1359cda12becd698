# SPDX-License-Identifier: LGPL-2.1-or-later
"""console.py: a guest's console in a test's hands, as a stream of our own module.

Called by: test_linux.py, test_virt_install.py.
"""

from __future__ import annotations

import contextlib
import time

import libvirt


class Console:
    """A console that is read until something expected has come."""

    def __init__(self, dom: libvirt.virDomain) -> None:
        self._stream = dom.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
        dom.openConsole(None, self._stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        self._text = ""
        self.all = ""

    def until(self, expected: str, seconds: float) -> str:
        """Read until the text has been seen; what came before it."""
        deadline = time.monotonic() + seconds
        while expected not in self._text:
            assert time.monotonic() < deadline, f"no {expected!r} within {seconds} s: {self.all}"
            got = self._stream.recv(4096)
            if isinstance(got, int):  # nothing there yet
                time.sleep(0.02)
                continue
            assert got, f"the console ended: {self.all}"
            text = got.decode(errors="replace").replace("\r\n", "\n")
            self._text += text
            self.all += text
        before, _, self._text = self._text.partition(expected)
        return before

    def tell(self, text: str) -> None:
        """Type something."""
        data = text.encode()
        while data:
            sent = self._stream.send(data)
            data = data[max(sent, 0) :]

    def close(self) -> None:
        """Let go of it; of a guest that is off nothing is left to end."""
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.abort()
