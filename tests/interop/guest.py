# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest.py: a guest of 512 bytes, and the disk images that the call scripts expect.

The boot sector prints a greeting on COM1, then answers every byte with the same byte in the other
case (xor 0x20); `q` switches the machine off. It sleeps in HLT, so an idle guest costs no CPU.
Called by: the fixtures of conftest.py, stories, examples' tests.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

GREETING = b"hello from the guest\r\n"
POWER_OFF = ord("q")
ORIGIN = 0x7C00
IMAGE_SIZE = 1 << 20


def boot_sector() -> bytes:
    """The machine code, put together by hand; offsets in the comments are from 0x7c00."""
    start = bytes.fromhex("31c08ed88ed0bc007cfc")  # 00 ax=ds=ss=0, sp=0x7c00, cld
    load = b"\xbe"  # 0a mov si, greeting
    code = bytes.fromhex(
        "ac"  # 0d print: lodsb
        "84c0"  # 0e test al, al
        "7405"  # 10 jz loop
        "e81d00"  # 12 call putc
        "ebf6"  # 15 jmp print
        "bafd03"  # 17 loop: mov dx, line status
        "ec"  # 1a in al, dx
        "a801"  # 1b test al, data ready
        "7504"  # 1d jnz read
        "fb"  # 1f sti
        "f4"  # 20 hlt until the next timer tick
        "ebf4"  # 21 jmp loop
        "baf803"  # 23 read: mov dx, data
        "ec"  # 26 in al, dx
        "3c71"  # 27 cmp al, 'q'
        "7417"  # 29 je off
        "3420"  # 2b xor al, 0x20
        "e80200"  # 2d call putc
        "ebe5"  # 30 jmp loop
        "88c4"  # 32 putc: mov ah, al
        "bafd03"  # 34 mov dx, line status
        "ec"  # 37 wait: in al, dx
        "a820"  # 38 test al, transmitter empty
        "74fb"  # 3a jz wait
        "88e0"  # 3c mov al, ah
        "b2f8"  # 3e mov dl, data (dh is 3 already)
        "ee"  # 40 out dx, al
        "c3"  # 41 ret
        "ba0406"  # 42 off: mov dx, ACPI PM1a control
        "b80020"  # 45 mov ax, sleep enable
        "ef"  # 48 out dx, ax
        "f4"  # 49 hlt
        "ebfd"  # 4a jmp hlt
    )
    greeting_at = ORIGIN + len(start) + 3 + len(code)
    sector = start + load + greeting_at.to_bytes(2, "little") + code + GREETING + b"\0"
    return sector.ljust(510, b"\0") + b"\x55\xaa"


def install_images(images: Path) -> None:
    """Write boot.img (bootable), blank.qcow2 (empty) and boot.qcow2 (over boot.img)."""
    (images / "boot.img").write_bytes(boot_sector().ljust(IMAGE_SIZE, b"\0"))
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, str(images / "blank.qcow2"), "4M"], check=True)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    subprocess.run(
        [*convert, str(images / "boot.img"), str(images / "boot.qcow2")],
        check=True,
    )


def domain_xml(
    name: str = "guest",
    uuid: str = "aaba00b2-e2cf-4354-b81f-82e7e3eb775e",
    *,
    disk: str = "/var/lib/libvirt/images/boot.img",
    devices: str = "",
) -> str:
    """A small TCG guest with a serial port and a balloon."""
    return f"""<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>
      <target dev='hda' bus='ide'/></disk>
    <controller type='usb' model='none'/>
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <memballoon model='virtio'/>
    {devices}
  </devices>
</domain>"""
