# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest_worker.py: one client's calls about guests, in a process of its own.

Run as a script, by any Python with any `libvirt` on its path: `guest_worker.py URI FOLDER COUNT`
defines COUNT guests with disks FOLDER/N.img, which must be there. Reads lines `NAME COUNT`, answers
each with the wall and the CPU seconds of one call, or with why there is none.
Called by: rivals.Worker. Never: imports anything of ours but `libvirt`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any

import libvirt

EMULATOR = "/usr/bin/qemu-system-x86_64"
_XML = """
<domain type='qemu'>
  <name>bench-{number}</name>
  <uuid>5f0c7d7a-8a7e-4cc1-9d06-{number:012d}</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{folder}/{number}.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


class Guests:
    """What can be measured; each operation with what has to come before it."""

    def __init__(self, uri: str, folder: str, count: int) -> None:
        self.conn = libvirt.open(uri)
        self.guests = [
            self.conn.defineXML(_XML.format(number=number, emulator=EMULATOR, folder=folder))
            for number in range(count)
        ]
        dom = self.guests[0]
        self.table: dict[str, tuple[Callable[[], Any] | None, Callable[[], Any]]] = {
            "start": (None, lambda: dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)),
            "destroy": (None, dom.destroy),
            "suspend": (self._resumed, dom.suspend),
            "resume": (self._paused, dom.resume),
            "memory": (None, dom.memoryStats),
            "stats": (None, self.conn.getAllDomainStats),
            "all": (None, self._start_all),
            "none": (None, self._destroy_all),
        }

    def _resumed(self) -> None:
        if self.guests[0].state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            self.guests[0].resume()

    def _paused(self) -> None:
        if self.guests[0].state()[0] == libvirt.VIR_DOMAIN_RUNNING:
            self.guests[0].suspend()

    def _start_all(self) -> None:
        for guest in self.guests:
            if not guest.isActive():
                guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)

    def _destroy_all(self) -> None:
        for guest in self.guests:
            if guest.isActive():
                guest.destroy()

    def run(self, name: str, repeats: int) -> tuple[float, float]:
        """Wall and CPU seconds of one call."""
        prepare, call = self.table[name]
        wall = cpu = 0.0
        for _ in range(repeats):
            if prepare is not None:
                prepare()
            before, busy = time.perf_counter(), time.process_time()
            call()
            wall += time.perf_counter() - before
            cpu += time.process_time() - busy
        return wall / repeats, cpu / repeats


def main(uri: str, folder: str, count: str) -> None:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    guests = Guests(uri, folder, int(count))
    print("ready", flush=True)
    for line in sys.stdin:
        name, _, repeats = line.strip().rpartition(" ")
        gc.collect()
        try:
            wall, cpu = guests.run(name, int(repeats))
        except libvirt.libvirtError as fault:
            print(f"failed: {' '.join(str(fault).split())}", flush=True)
        else:
            print(wall, cpu, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
