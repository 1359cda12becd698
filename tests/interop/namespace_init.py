# SPDX-License-Identifier: LGPL-2.1-or-later
"""namespace_init.py: process 1 of a private machine; mounts its folders and reaps what dies there.

Called by: machine.py, as a script, already inside fresh mount, pid, uts, ipc (and net) namespaces:
`namespace_init.py ROOT HOSTNAME CONTROL_SOCKET`. It says "ready" on the control socket and ends
when that socket closes; the kernel then kills everything else in the pid namespace.
Never: imports anything from the repository (it must start fast and work with any Python 3).
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys

PRIVATE_ETC = ("libvirt", "pki", "sasl2", "hosts", "hostname", "machine-id")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def replace_etc(root: str, hostname: str) -> None:
    """Put a folder of links over /etc in which only libvirt's own entries differ."""
    original, etc = os.path.join(root, "etc.host"), os.path.join(root, "etc")
    os.makedirs(original)
    mount("--bind", "/etc", original)
    for name in os.listdir(original):
        if name in PRIVATE_ETC:
            continue
        source = os.path.join(original, name)
        target = os.readlink(source) if os.path.islink(source) else source
        os.symlink(target, os.path.join(etc, name))
    for name in ("libvirt", "pki", "sasl2"):
        os.makedirs(os.path.join(etc, name), exist_ok=True)
    with open(os.path.join(etc, "hosts"), "w") as hosts:
        hosts.write(f"127.0.0.1 localhost alpha beta {hostname}\n::1 localhost\n")
    with open(os.path.join(etc, "hostname"), "w") as file:
        file.write(hostname + "\n")
    mount("--bind", etc, "/etc")


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("16sH", fcntl.ioctl(probe, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def prepare(root: str, hostname: str) -> None:
    os.makedirs(os.path.join(root, "run", "lock"))
    socket.sethostname(hostname)
    loopback_up()
    replace_etc(root, hostname)
    for source, target in (
        ("run", "/run"),
        ("lib", "/var/lib/libvirt"),
        ("cache", "/var/cache/libvirt"),
        ("log", "/var/log/libvirt"),
    ):
        mount("--bind", os.path.join(root, source), target)
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("-t", "devpts", "-o", "newinstance,gid=5,mode=620,ptmxmode=666", "devpts", "/dev/pts")


def reap_until_closed(control: socket.socket) -> None:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control.fileno(), wake_read], [], [], 1.0)
        if wake_read in ready:
            os.read(wake_read, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if control.fileno() in ready and not control.recv(1):
            return


def main() -> None:
    root, hostname, path = sys.argv[1:]
    control = socket.socket(socket.AF_UNIX)
    control.connect(path)
    try:
        prepare(root, hostname)
    except (OSError, subprocess.SubprocessError) as problem:
        control.sendall(f"failed: {problem}\n".encode())
        sys.exit(1)
    control.sendall(b"ready\n")
    reap_until_closed(control)


if __name__ == "__main__":
    main()
