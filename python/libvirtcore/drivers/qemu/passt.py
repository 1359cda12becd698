# SPDX-License-Identifier: LGPL-2.1-or-later
"""passt.py: passt processes, which give a guest's interface a network without privileges.

One process for one interface. It talks to QEMU over a pair of connected sockets, so there is no
path that could be too long or taken by another, and it ends when QEMU's end is closed, whoever
closes it.
Called by: drivers.qemu.resources. Calls: the program passt.
Never: has to be ended.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu.guest import internal
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.accounts import Account

_SECONDS = 10.0
_PATH = "/usr/bin:/usr/local/bin:/bin"
_SAID = 2000  # characters of its complaint that go into an error


def start(interface: Any, account: Account | None) -> socket.socket:
    """Start passt for an interface; returns QEMU's end of the connection. Raises: VirError."""
    program = shutil.which("passt", path=_PATH)
    if program is None:
        raise report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_NONE, "Cannot find 'passt' in path")
    mine, theirs = socket.socketpair()
    words = [program, "--quiet", "--fd", str(theirs.fileno())]
    if account is not None:
        words += ["--runas", f"{account.uid}:{account.gid}"]
    words += _arguments(interface)
    try:
        _run(words, theirs.fileno(), interface.alias.name)
    except BaseException:
        mine.close()
        raise
    finally:
        theirs.close()
    return mine


def _run(words: list[str], fd: int, alias: str) -> None:
    """Run it until it has gone into the background. Raises: VirError."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, cwd="/",
            check=False, start_new_session=True, pass_fds=(fd,),
            env={"LC_ALL": "C", "PATH": _PATH},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise internal(f"passt did not begin to serve interface '{alias}' in time") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = (lines[-1] if lines else f"status {done.returncode}")[-_SAID:]
        raise report(
            c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, f"Could not start 'passt': {said}"
        )


def _arguments(interface: Any) -> list[str]:
    """The options that a document asks for."""
    words: list[str] = []
    source = getattr(interface, "source", None)
    device = getattr(source, "dev", None)
    if device:
        words += ["--interface", str(device)]
    backend = getattr(interface, "backend", None)
    log = getattr(backend, "log_file", None)
    if log:
        words += ["--log-file", str(log)]
    for ip in interface.ips:
        text = str(ip.address)
        if ip.prefix and (ip.family or "ipv4") == "ipv4":
            words += ["--address", text, "--netmask", str(ip.prefix)]
        else:
            words += ["--address", text]
    for forward in getattr(interface, "port_forwards", None) or ():
        words += _forward(forward)
    return words


def _forward(forward: Any) -> list[str]:
    option = "--udp-ports" if forward.proto == "udp" else "--tcp-ports"
    address = str(forward.address) if forward.address else ""
    if forward.dev:
        address += f"%{forward.dev}"
    ranges: list[str] = []
    for item in forward.ranges:
        if item.start is None:
            continue
        text = "~" if item.exclude else ""
        text += str(item.start) + (f"-{item.end}" if item.end is not None else "")
        if item.to is not None and not item.exclude:
            text += f":{item.to}"
            if item.end is not None:
                text += f"-{item.to + item.end - item.start}"
        ranges.append(text)
    if not ranges:
        ranges = [f"{'' if address else 'all'}"]
    place = f"{address}/" if address and ranges != [""] else address
    return [option, place + ",".join(ranges)]
