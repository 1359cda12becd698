# SPDX-License-Identifier: LGPL-2.1-or-later
"""monitor.py: QEMU's own events and commands through libvirt_qemu.

Run as: monitor.py URI GUEST-XML-FILE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu
from tests.interop.stories.storyteller import Heard, attempt, quiet, run_loop, tell


def main() -> None:
    uri, guest = sys.argv[1], Path(sys.argv[2]).read_text()
    quiet()
    run_loop()
    conn = libvirt.open(uri)
    dom = conn.createXML(guest, libvirt.VIR_DOMAIN_START_PAUSED)
    heard = Heard()

    def on_event(
        conn: Any, dom: Any, event: str, seconds: int, micros: int, details: str | None, opaque: Any
    ) -> None:
        types = [type(seconds).__name__, type(micros).__name__, details]
        heard.note(event, dom.name(), *types, opaque)

    register = libvirt_qemu.qemuMonitorEventRegister
    everything = register(conn, None, None, on_event, "all")
    tell("type of id", type(everything).__name__)
    matching = register(
        conn,
        dom,
        "^res",
        on_event,
        "some",
        libvirt_qemu.VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX
        | libvirt_qemu.VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_NOCASE,
    )
    exact = register(conn, dom, "STOP", on_event, "stop")
    dom.resume()
    dom.suspend()
    heard.wait(4)
    heard.events.sort(key=repr)
    heard.tell()
    for number in (everything, matching, exact):
        attempt("deregister", libvirt_qemu.qemuMonitorEventDeregister, conn, number)
    attempt("deregister again", libvirt_qemu.qemuMonitorEventDeregister, conn, exact)
    status = libvirt_qemu.qemuMonitorCommand(dom, json.dumps({"execute": "query-status"}), 0)
    tell("status", json.loads(status)["return"])
    help_text = libvirt_qemu.qemuMonitorCommand(
        dom, "help", libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
    )
    tell("long text", [type(help_text).__name__, len(help_text) > 10000])
    files = getattr(libvirt_qemu, "qemuMonitorCommandWithFiles", None)
    if files is not None:
        with open("/dev/null") as null:
            command = json.dumps({"execute": "getfd", "arguments": {"fdname": "null"}})
            answer = attempt("type", lambda: type(files(dom, command, [null.fileno()], 0)).__name__)
            tell("answered", answer)
    dom.destroy()
    tell("close", conn.close())


main()
