# SPDX-License-Identifier: LGPL-2.1-or-later
"""events_test_driver.py: events of the test driver behind a daemon, in both registration styles.

Run as: events_test_driver.py URI.
"""

from __future__ import annotations

import sys
from typing import Any

import libvirt
from tests.interop.stories.storyteller import Heard, attempt, quiet, run_loop, tell

DOMAIN = """<domain type='test'><name>%s</name><memory>8192</memory>
<os><type>hvm</type></os></domain>"""
NET = "<network><name>n</name><bridge name='virbr9'/><ip address='10.0.0.1' prefix='24'/></network>"
POOL = "<pool type='dir'><name>p</name><target><path>/p</path></target></pool>"


def main() -> None:
    uri = sys.argv[1]
    quiet()
    run_loop()
    conn = libvirt.open(uri)
    heard = Heard()

    def old_style(conn: Any, dom: Any, event: int, detail: int, opaque: Any) -> None:
        heard.note("old", dom.name(), event, detail, opaque)

    def lifecycle(conn: Any, dom: Any, event: int, detail: int, opaque: Any) -> None:
        heard.note("life", type(conn).__name__, dom.name(), event, detail, opaque)

    def other(kind: str) -> Any:
        return lambda conn, thing, *rest: heard.note(kind, thing.name(), *rest)

    everything = conn.domainEventRegisterAny(
        None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, {"my": "data"}
    )
    tell("callback id", everything)
    dom = conn.defineXML(DOMAIN % "one")
    dom.create()
    dom.suspend()
    dom.resume()
    dom.destroy()
    heard.wait(5)
    heard.tell()

    attempt("old style", conn.domainEventRegister, old_style, "opaque")
    dom.create()
    heard.wait(2)
    heard.events.sort(key=lambda event: str(event[0]))
    heard.tell()
    attempt("old style again", conn.domainEventRegister, old_style, "twice")
    attempt("old style gone", conn.domainEventDeregister, old_style)
    attempt("old style gone again", conn.domainEventDeregister, old_style)
    attempt("gone", conn.domainEventDeregisterAny, everything)
    attempt("gone again", conn.domainEventDeregisterAny, everything)
    attempt("never there", conn.domainEventDeregisterAny, 999)

    # a filter by domain hears only that domain
    two = conn.defineXML(DOMAIN % "two")
    only = conn.domainEventRegisterAny(
        two, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, "filtered"
    )
    dom.suspend()
    two.create()
    dom.resume()
    two.suspend()
    heard.wait(2)
    heard.tell()
    conn.domainEventDeregisterAny(only)

    attempt("bad event", conn.domainEventRegisterAny, None, 999, lifecycle, None)
    attempt("bad object", conn.domainEventRegisterAny, conn, 0, lifecycle, None)
    attempt("bad network event", conn.networkEventRegisterAny, None, 999, lifecycle, None)

    ids = [
        conn.networkEventRegisterAny(None, 0, other("network"), "on"),
        conn.storagePoolEventRegisterAny(None, 0, other("pool"), "op"),
        conn.storagePoolEventRegisterAny(None, 1, other("refresh"), "or"),
        conn.nodeDeviceEventRegisterAny(None, 0, other("device"), "od"),
    ]
    tell("ids", [type(number).__name__ for number in ids])
    net = conn.networkDefineXML(NET)
    net.create()
    net.destroy()
    net.undefine()
    heard.wait(4)
    heard.tell()
    pool = conn.storagePoolDefineXML(POOL)
    pool.create()
    pool.refresh()
    pool.destroy()
    pool.undefine()
    heard.wait(5)
    heard.tell()
    conn.nodeDeviceLookupByName("scsi_host2").destroy()
    heard.wait(1)
    heard.tell()
    attempt("network gone", conn.networkEventDeregisterAny, ids[0])
    attempt("pool gone", conn.storagePoolEventDeregisterAny, ids[1])
    attempt("refresh gone", conn.storagePoolEventDeregisterAny, ids[2])
    attempt("device gone", conn.nodeDeviceEventDeregisterAny, ids[3])
    attempt("secret", conn.secretEventRegisterAny, None, 0, other("secret"), None)

    # a callback that raises must not stop the ones after it
    def broken(*arguments: Any) -> None:
        raise RuntimeError("a broken callback")

    conn.domainEventRegisterAny(two, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, broken, None)
    conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None)
    two.destroy()
    heard.wait(1)
    heard.tell()
    dom.destroy()
    dom.undefine()
    heard.wait(2)
    heard.tell()
    tell("close", conn.close())


main()
