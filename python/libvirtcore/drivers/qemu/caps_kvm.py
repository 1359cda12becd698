# SPDX-License-Identifier: LGPL-2.1-or-later
"""caps_kvm.py: whether KVM truly works for this process: a virtual CPU is made, and runs.

That /dev/kvm exists or opens says little: in containers and nested machines it often ends there.
Called by: caps_probe, caps_cache. Calls: /dev/kvm.
Never: keeps a descriptor; raises.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import platform
import struct
import threading

__all__ = ["kvm_works"]

DEVICE = "/dev/kvm"

_API_VERSION = 12
_GET_API_VERSION = 0xAE00
_CREATE_VM = 0xAE01
_GET_VCPU_MMAP_SIZE = 0xAE04
_CREATE_VCPU = 0xAE41
_SET_USER_MEMORY_REGION = 0x4020AE46
_RUN = 0xAE80
_SET_REGS = 0x4090AE82
_GET_SREGS = 0x8138AE83
_SET_SREGS = 0x4138AE84
_EXIT_HLT = 5
_PAGE = 4096
_HLT = 0xF4

_lock = threading.Lock()
_known: tuple[tuple[int, ...], bool] | None = None


def kvm_works() -> bool:
    """Whether a virtual CPU runs here; asked again only when the device or who we are changes."""
    global _known
    try:
        seen = os.stat(DEVICE)
    except OSError:
        return False
    key = (seen.st_ino, seen.st_rdev, seen.st_mode, seen.st_gid, os.geteuid(), os.getegid())
    with _lock:
        if _known is None or _known[0] != key:
            _known = (key, _try())
        return _known[1]


def _try() -> bool:
    with contextlib.ExitStack() as stack:
        try:
            return _run(stack)
        except (OSError, ValueError, struct.error):
            return False


def _run(stack: contextlib.ExitStack) -> bool:
    def closing(fd: int) -> int:
        stack.callback(os.close, fd)
        return fd

    kvm = closing(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    if fcntl.ioctl(kvm, _GET_API_VERSION, 0) != _API_VERSION:
        return False
    machine = closing(fcntl.ioctl(kvm, _CREATE_VM, 0))
    if platform.machine() not in ("x86_64", "AMD64"):
        closing(fcntl.ioctl(machine, _CREATE_VCPU, 0))
        return True
    return _halts(stack, kvm, machine)


def _halts(stack: contextlib.ExitStack, kvm: int, machine: int) -> bool:
    """Whether a CPU whose first instruction is HLT gets there."""
    memory = mmap.mmap(-1, _PAGE)
    memory[0] = _HLT
    pin = ctypes.c_char.from_buffer(memory)
    region = struct.pack("=IIQQQ", 0, 0, _PAGE, _PAGE, ctypes.addressof(pin))
    try:
        fcntl.ioctl(machine, _SET_USER_MEMORY_REGION, region)
        size = fcntl.ioctl(kvm, _GET_VCPU_MMAP_SIZE, 0)
        cpu = fcntl.ioctl(machine, _CREATE_VCPU, 0)
        stack.callback(os.close, cpu)
        with mmap.mmap(cpu, size) as run:
            special = bytearray(312)
            fcntl.ioctl(cpu, _GET_SREGS, special)
            struct.pack_into("=Q", special, 0, 0)  # base of the code segment
            struct.pack_into("=H", special, 12, 0)  # its selector
            fcntl.ioctl(cpu, _SET_SREGS, bytes(special))
            plain = bytearray(144)
            struct.pack_into("=QQ", plain, 128, _PAGE, 2)  # instruction pointer, flags
            fcntl.ioctl(cpu, _SET_REGS, bytes(plain))
            fcntl.ioctl(cpu, _RUN, 0)
            return bool(struct.unpack_from("=I", run, 8)[0] == _EXIT_HLT)
    finally:
        del pin  # the memory itself is freed after the machine that maps it
        stack.callback(memory.close)
