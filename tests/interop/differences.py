# SPDX-License-Identifier: LGPL-2.1-or-later
"""differences.py: where our client may differ from python3-libvirt 9.0, each with a reason.

An entry belongs to one script and must match at least one difference there, else the test fails: a
list of excuses that nobody needs any more is not kept.
Called by: test_calls.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.interop.compare import Difference


@dataclass(frozen=True)
class Allowed:
    """A difference in `script` at statements matching `source`, of the kind `what` begins with."""

    script: str
    source: str
    what: str
    reason: str
    transports: tuple[str, ...] = ("unix", "tcp")

    def matches(self, difference: Difference) -> bool:
        return (
            difference.script == self.script
            and difference.what.startswith(self.what)
            and re.search(self.source, difference.step.source) is not None
        )


NO_LOOP = "without a registered event loop ours starts a thread instead of refusing"
ONE_CALL = "ours asks for the names at once, the real one for their number first"
SET_FIRST = "ours checks access and the dict first, the real one asks for the present values first"
STALE = "the real one forgets to reset the last error or to set one; ours names the fault"
CHECKED = "the real one takes any object where a list of strings is needed; ours raises TypeError"
ENCRYPTED = "the real one calls any SASL session encrypted; ours only one with a security layer"
END_OF_FILE = "a daemon that ends is EOF for ours on any socket; the real one says error on TCP"
SASL_TEXT = "the text is the SASL library's own; code and domain are the same"

ALLOWED: tuple[Allowed, ...] = (
    Allowed("test/connect", r"setKeepAlive", "did not raise", NO_LOOP),
    Allowed("test/connect", r'baselineCPU\("x"\)', "error type", CHECKED),
    Allowed("test/connect", r"list(Secrets|NWFilters)\(", "error fields", ONE_CALL),
    Allowed("test/domain", r"securityLabelList", "did not raise", "the test driver has no labels"),
    Allowed("test/domain", r"sendKey.*28\], 5", "error fields", STALE),
    Allowed("test/domain", r'sendKey.*"x"', "error type", STALE),
    Allowed("test/domain", r'fsThaw\("x"\)', "raised", CHECKED),
    Allowed("qemu/block", r"snapshotListNames\(1 << 25\)", "error fields", ONE_CALL),
    Allowed(
        "qemu/block", r"qemuMonitorCommand\(dom, None", "error fields", "ours says which argument"
    ),
    Allowed("qemu/domain", r"sendKey.*range\(20\)", "error fields", STALE),
    Allowed(
        "qemu/network",
        r"a/b",
        "stderr",
        "the real one prints `line -1` of an XML error that has no line",
    ),
    Allowed("lxc/domain", r"snapshotListNames", "error fields", ONE_CALL),
    Allowed("senseless_types", r"baseline(Hypervisor)?CPU", "error type", CHECKED),
    Allowed("senseless_types", r"fs(Freeze|Thaw)", "raised", CHECKED),
    Allowed("senseless_types", r"authorizedSSHKeysSet", "error type", CHECKED),
    Allowed("senseless_types", r"sendKey", "error type", STALE),
    Allowed("unknown_flag", r"listDevices|list(Children)?Names|snapshotList", "error", ONE_CALL),
    Allowed("unknown_flag", r"diskErrors", "raised", "the real one ignores flags without room"),
    Allowed("unknown_flag", r"setBlockIoTune", "error fields", SET_FIRST),
    Allowed("vanished", r"setBlockIoTune", "error fields", SET_FIRST),
    Allowed("vanished", r"securityLabelList", "did not raise", "the test driver has no labels"),
    Allowed("read_only", r"securityLabelList", "did not raise", "the test driver has no labels"),
    Allowed("read_only", r"setKeepAlive", "did not raise", NO_LOOP),
    Allowed("read_only", r"list(Secrets|NWFilters)\(", "error fields", ONE_CALL),
    Allowed("read_only", r"\.set\w+\(.*bandwidth", "error", SET_FIRST),
    Allowed(
        "read_only", r"openGraphics\(", "error fields", "ours checks access before the descriptor"
    ),
)

# Facts of stories that may differ, with the reason.
FACTS: dict[str, dict[str, str]] = {
    "events_test_driver": {"bad network event": STALE},
    "restart tcp": {"event": END_OF_FILE},
    "sasl unix": {
        "right password": ENCRYPTED,
        "user in URI": ENCRYPTED,
        "auth file in URI": ENCRYPTED,
        "auth file by environment": ENCRYPTED,
        "no such file": ENCRYPTED,
        "no callback": SASL_TEXT,
        "empty credentials": SASL_TEXT,
    },
    "sasl tls": {
        "no callback": SASL_TEXT,
        "empty credentials": SASL_TEXT,
        "no such file": STALE,
    },
}


def split(
    script: str, transport: str, found: list[Difference]
) -> tuple[list[Difference], list[Allowed]]:
    """The differences that nothing allows, and the entries for this script that nothing needs."""
    entries = [a for a in ALLOWED if a.script == script and transport in a.transports]
    unexpected = [d for d in found if not any(a.matches(d) for a in entries)]
    unused = [a for a in entries if not any(a.matches(d) for d in found)]
    return unexpected, unused
