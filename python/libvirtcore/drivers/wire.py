# SPDX-License-Identifier: LGPL-2.1-or-later
"""wire.py: handles from what the protocol's object structs decode to, and what the rows rest on.

Called by: generated.remote_*, drivers.remote.
Never: sends anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libvirtcore import handles as h

# Numbers of the programs.
REMOTE = 0x20008086
QEMU = 0x20008087
LXC = 0x00068000

STRINGS = 4  # VIR_TYPED_PARAM_STRING_OKAY: without it a daemon keeps back parameters that are text


class Rows:
    """What the generated rows of the remote driver call."""

    conn: h.ConnectHandle

    def _call(self, procedure: int, args: tuple[Any, ...] | None = None) -> Any:
        """Make a call on the program remote; returns the fields of the reply."""
        raise NotImplementedError

    def _call_qemu(self, procedure: int, args: tuple[Any, ...] | None = None) -> Any:
        """The same on the program qemu."""
        raise NotImplementedError

    def _call_lxc(self, procedure: int, args: tuple[Any, ...] | None = None) -> Any:
        """The same on the program lxc."""
        raise NotImplementedError

    def _call_fds(
        self, program: int, procedure: int, args: tuple[Any, ...] | None, fds: Sequence[int]
    ) -> tuple[Any, list[int]]:
        """Make a call that passes descriptors; returns the fields and the descriptors received."""
        raise NotImplementedError

    def _call_stream(
        self, program: int, procedure: int, args: tuple[Any, ...], stream: h.StreamHandle
    ) -> Any:
        """Make a call that opens a stream and attach it to the handle; returns the fields."""
        raise NotImplementedError


def domain(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.DomainHandle:
    return h.DomainHandle(conn, *wire)


def domain_checkpoint(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.DomainCheckpointHandle:
    name, dom = wire
    return h.DomainCheckpointHandle(h.DomainHandle(conn, *dom), name)


def domain_snapshot(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.DomainSnapshotHandle:
    name, dom = wire
    return h.DomainSnapshotHandle(h.DomainHandle(conn, *dom), name)


def interface(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.InterfaceHandle:
    return h.InterfaceHandle(conn, *wire)


def network(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.NetworkHandle:
    return h.NetworkHandle(conn, *wire)


def network_port(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.NetworkPortHandle:
    net, uuid = wire
    return h.NetworkPortHandle(h.NetworkHandle(conn, *net), uuid)


def node_device(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.NodeDeviceHandle:
    return h.NodeDeviceHandle(conn, *wire)


def nwfilter(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.NWFilterHandle:
    return h.NWFilterHandle(conn, *wire)


def nwfilter_binding(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.NWFilterBindingHandle:
    return h.NWFilterBindingHandle(conn, *wire)


def secret(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.SecretHandle:
    return h.SecretHandle(conn, *wire)


def storage_pool(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.StoragePoolHandle:
    return h.StoragePoolHandle(conn, *wire)


def storage_vol(conn: h.ConnectHandle, wire: tuple[Any, ...]) -> h.StorageVolHandle:
    return h.StorageVolHandle(conn, *wire)
