# SPDX-License-Identifier: LGPL-2.1-or-later
"""events_qemu.py: all domain events are subscribed while a QEMU guest lives its life.

Run as: events_qemu.py URI GUEST-XML-FILE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import libvirt
from tests.interop.stories.storyteller import Heard, attempt, quiet, run_loop, tell, wait_until

EVENTS = [
    "LIFECYCLE",
    "REBOOT",
    "RTC_CHANGE",
    "WATCHDOG",
    "IO_ERROR",
    "GRAPHICS",
    "IO_ERROR_REASON",
    "CONTROL_ERROR",
    "BLOCK_JOB",
    "DISK_CHANGE",
    "TRAY_CHANGE",
    "PMWAKEUP",
    "PMSUSPEND",
    "BALLOON_CHANGE",
    "PMSUSPEND_DISK",
    "DEVICE_REMOVED",
    "BLOCK_JOB_2",
    "TUNABLE",
    "AGENT_LIFECYCLE",
    "DEVICE_ADDED",
    "MIGRATION_ITERATION",
    "JOB_COMPLETED",
    "DEVICE_REMOVAL_FAILED",
    "METADATA_CHANGE",
    "BLOCK_THRESHOLD",
    "MEMORY_FAILURE",
    "MEMORY_DEVICE_SIZE_CHANGE",
]
UNTOLD = {"RTC_CHANGE", "MIGRATION_ITERATION"}  # depend on the clock and on speed
STOPPED, UNDEFINED = libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED
DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/var/lib/libvirt/images/blank.qcow2'/><target dev='vdb' bus='virtio'/></disk>"""
SECRET = """<secret ephemeral='no'><uuid>4b5c6d7e-8f90-4a1b-8c2d-3e4f5a6b7c8d</uuid>
<usage type='volume'><volume>/x</volume></usage></secret>"""


def clean(value: Any) -> Any:
    """Numbers of a finished job vary from run to run; its keys do not."""
    if isinstance(value, dict) and "time_elapsed" in value:
        return sorted(set(value) - {"memory_bps"})  # absent where the time was too short
    return value


def main() -> None:
    uri, guest = sys.argv[1], Path(sys.argv[2]).read_text()
    quiet()
    run_loop()
    conn = libvirt.open(uri)
    heard = Heard()

    def listener(name: str) -> Any:
        def callback(conn: Any, dom: Any, *rest: Any) -> None:
            if name not in UNTOLD:
                heard.note(name, dom.name(), *(clean(item) for item in rest))

        return callback

    for name in EVENTS:
        number = getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{name}")
        conn.domainEventRegisterAny(None, number, listener(name), name.lower())
    for number in (0, 1):
        conn.secretEventRegisterAny(
            None,
            number,
            lambda conn, secret, *rest, number=number: heard.note(
                f"secret {number}", secret.UUIDString(), *rest
            ),
            None,
        )

    def phase(name: str, count: int) -> None:
        heard.wait(count)
        heard.events.sort(key=lambda event: str(event[0]))  # stable: order within a kind stays
        tell(name)
        heard.tell()

    dom = conn.defineXML(guest)
    phase("define", 1)
    dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    phase("start paused", 2)
    dom.resume()
    phase("resume", 1)
    dom.suspend()
    phase("suspend", 1)
    dom.attachDevice(DISK)
    phase("attach", 1)
    dom.setMemory(8192)
    dom.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<a/>", "k", "urn:x", libvirt.VIR_DOMAIN_AFFECT_LIVE
    )
    phase("metadata", 1)
    dom.setBlockIoTune("hda", {"total_bytes_sec": 1000000})
    phase("tunable", 1)
    dom.pinVcpu(0, (True,))
    phase("pin", 1)
    dom.blockPull("vdb")
    phase("pull", 2)
    secret = conn.secretDefineXML(SECRET)
    secret.setValue(b"x")
    secret.undefine()
    phase("secret", 3)
    dom.save("/var/lib/libvirt/qemu/save/guest")
    phase("save", 2)
    conn.restore("/var/lib/libvirt/qemu/save/guest")
    phase("restore", 2)
    dom.destroy()
    dom.undefine()
    wait_until(lambda: any(event[2] == UNDEFINED for event in heard.events), "the end")
    # how far QEMU comes with its own farewell before it is killed is a race
    heard.events = [event for event in heard.events if event[2] in (STOPPED, UNDEFINED)]
    phase("end", 2)
    attempt("close", conn.close)


main()
