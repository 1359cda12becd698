# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest_files.py: the images and documents that guests.steps names, for one daemon.

Called by: test_guests.py. Calls: tests.interop.guest.
"""

from __future__ import annotations

from pathlib import Path

from tests.interop import guest

_UUID = "0f0f0f0f-1111-4222-8333-4444444444{:02}"


def write(folder: Path) -> None:
    """Put everything into a folder."""
    guest.install_images(folder)
    (folder / "cd.img").write_bytes(b"\0" * (1 << 20))
    documents = {
        "g": document("g", 1, folder),
        "other": document("other", 2, folder, disk="boot.qcow2"),
        "samename": document("other", 3, folder),
        "missing": document("missing", 4, folder, disk="nosuch.img"),
        "rng": "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "no": "<nosuch/>",
    }
    for name, text in documents.items():
        (folder / f"{name}.xml").write_text(text)


def document(name: str, number: int, folder: Path, disk: str = "boot.img") -> str:
    """A small guest that greets on its serial port and then waits."""
    kind = "qcow2" if disk.endswith("qcow2") else "raw"
    disks = f"""
    <disk type='file' device='disk'><driver name='qemu' type='{kind}'/>
      <source file='{folder}/{disk}'/><target dev='hda' bus='ide'/></disk>"""
    if name == "g":
        disks += f"""
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{folder}/boot.qcow2'/><target dev='hdb' bus='ide'/></disk>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/>
      <source file='{folder}/cd.img'/><target dev='hdc' bus='ide'/><readonly/></disk>"""
    return f"""<domain type='qemu'>
  <name>{name}</name><uuid>{_UUID.format(number)}</uuid>
  <memory unit='MiB'>32</memory><vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}
    <controller type='usb' model='none'/>
    <serial type='pty'><target port='0'/></serial>
    <video><model type='vga'/></video>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
    <memballoon model='virtio'/>
  </devices>
</domain>"""
