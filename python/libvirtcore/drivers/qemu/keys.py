# SPDX-License-Identifier: LGPL-2.1-or-later
"""keys.py: keys pressed for a guest.

QEMU takes numbers of its own (qnum); Linux's are the same up to 88, the others are in a table.
Called by: drivers.qemu.driver (mixin). Calls: the monitor.
Never: reads what is typed.
"""

from __future__ import annotations

from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import check_flags, internal
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_SAME = range(1, 89)
_LINUX = {
    96: 0x9C, 97: 0x9D, 98: 0xB5, 99: 0x54, 100: 0xB8, 102: 0xC7, 103: 0xC8, 104: 0xC9, 105: 0xCB,
    106: 0xCD, 107: 0xCF, 108: 0xD0, 109: 0xD1, 110: 0xD2, 111: 0xD3, 113: 0xA0, 114: 0xAE,
    115: 0xB0, 116: 0xDE, 117: 0x59, 119: 0xC6, 125: 0xDB, 126: 0xDC, 127: 0xDD,
}  # fmt: skip
_NAMES = {
    c.VIR_KEYCODE_SET_LINUX: "linux",
    c.VIR_KEYCODE_SET_XT: "xt",
    c.VIR_KEYCODE_SET_QNUM: "qnum",
}
_EXTENDED = 0xE000  # a second byte follows this one in the codes of an XT keyboard


def qnum(codeset: int, code: int) -> int:
    """QEMU's number of a key. Raises: VirError."""
    if codeset == c.VIR_KEYCODE_SET_QNUM and 0 < code < 256:
        return code
    if codeset == c.VIR_KEYCODE_SET_LINUX:
        if code in _SAME:
            return code
        if code in _LINUX:
            return _LINUX[code]
    if codeset == c.VIR_KEYCODE_SET_XT:
        if code in _SAME:
            return code
        if code & 0xFF80 == _EXTENDED and 0x80 | code & 0x7F in _LINUX.values():
            return 0x80 | code & 0x7F
    name = _NAMES.get(codeset, str(codeset))
    raise internal(f"cannot translate keycode {code} of {name} codeset to qnum keycode")


class KeyCalls(Calls):
    """The calls that press keys."""

    def domain_send_key(
        self, dom: DomainHandle, codeset: int, holdtime: int, keycodes: list[int], flags: int
    ) -> None:
        check_flags("qemuDomainSendKey", flags, 0)
        if codeset not in _NAMES:
            raise report(
                c.VIR_ERR_ARGUMENT_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                f"keys of codeset {codeset} cannot be translated yet",
            )
        keys = [{"type": "number", "data": qnum(codeset, code)} for code in keycodes]
        arguments: dict[str, object] = {"keys": keys}
        if holdtime:
            arguments["hold-time"] = holdtime
        with self._running(dom, "DomainSendKey") as guest:
            guest.monitor().command("send-key", arguments)
