# SPDX-License-Identifier: LGPL-2.1-or-later
"""services.py: the kinds of door a client may come in by, and what each one means.

The number of a service travels through the C server with every client; `SERVICES[number]` says
whether the client may change things and what it must prove before.
Called by: sockets.py, activation.py (listen), session.py and authenticate.py (judge).
Never: holds a descriptor.
"""

from __future__ import annotations

UNIX, UNIX_RO, TCP = range(3)


class Service:
    """One kind of door. `auth` is "none" or "polkit"."""

    __slots__ = ("auth", "name", "number", "readonly", "transport")

    def __init__(self, number: int, name: str, transport: str, readonly: bool) -> None:
        self.number = number
        self.name = name
        self.transport = transport
        self.readonly = readonly
        self.auth = "none"

    @property
    def local(self) -> bool:
        """Whether the kernel tells who the peer is."""
        return self.transport == "unix"

    @property
    def open_at_once(self) -> bool:
        """Whether a client needs to prove nothing."""
        return self.auth == "none"


SERVICES = (
    Service(UNIX, "libvirt-sock", "unix", readonly=False),
    Service(UNIX_RO, "libvirt-sock-ro", "unix", readonly=True),
    Service(TCP, "tcp", "tcp", readonly=False),
)
