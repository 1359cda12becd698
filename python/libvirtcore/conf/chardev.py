# SPDX-License-Identifier: LGPL-2.1-or-later
"""chardev.py: where characters come from and go to, and the ports, consoles and channels on them.

Called by: devices.py, misc.py, interface.py. Calls: address.py, storage.py, schema.py.
Never: opens anything.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.address import Device
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import required
from libvirtcore.conf.schema import LIVE, Element, attribute, child, children
from libvirtcore.conf.storage import Reconnect, SourceSeclabel
from libvirtcore.conf.values import ONOFF, STRING, UINT, YESNO, Choice
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

CHAR_TYPES = (
    "null", "vc", "pty", "dev", "file", "pipe", "stdio", "udp", "tcp", "unix", "spicevmc",
    "spiceport", "nmdm", "qemu-vdagent", "dbus",
)  # fmt: skip
_PATHS = ("pty", "dev", "file", "pipe", "unix")


class Clipboard(Element):
    """Whether the agent shares the clipboard."""

    copypaste = attribute(YESNO)


class MouseMode(Element):
    """Who moves the pointer."""

    mode = attribute(Choice("server", "client"))


class CharSource(Element):
    """The host side of a character device. What counts depends on the device's type."""

    channel = attribute(STRING, when=("spiceport", "dbus"))
    master = attribute(STRING, when=("nmdm",))
    slave = attribute(STRING, when=("nmdm",))
    mode = attribute(Choice("connect", "bind"), when=("tcp", "udp", "unix"))
    host = attribute(STRING, when=("tcp", "udp"))
    service = attribute(STRING, when=("tcp", "udp"))
    tls = attribute(YESNO, when=("tcp",))
    tls_from_config = attribute(UINT, "tlsFromConfig", when=("tcp",), secret=LIVE)
    path = attribute(STRING, when=_PATHS, live_when=("pty",))
    append = attribute(ONOFF, when=("file",))
    clipboard = child(Clipboard, when=("qemu-vdagent",))
    mouse = child(MouseMode, when=("qemu-vdagent",))
    reconnect = child(Reconnect, when=("tcp", "unix"))
    seclabels = children(SourceSeclabel, "seclabel")


class Protocol(Element):
    """What is spoken on a TCP connection."""

    type = attribute(
        Choice("raw", "telnet", "telnets", "tls"), default="raw",
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Unknown protocol '%s'"),
    )  # fmt: skip


class Log(Element):
    """A file everything is written to as well."""

    file = attribute(STRING)
    append = attribute(ONOFF)


class TargetModel(Element):
    """The device behind a serial port, by the name QEMU gives it."""

    name = attribute(
        Choice(
            "isa-serial", "usb-serial", "pci-serial", "spapr-vty", "pl011", "sclpconsole",
            "sclplmconsole", "16550a", "isa-debugcon",
        ),
        bad=(
            VIR_ERR_CONFIG_UNSUPPORTED, "unknown target model '%s' specified for character device",
        ),
    )  # fmt: skip


class CharTarget(Element):
    """The guest's side of a character device."""

    type = attribute(STRING)
    address = attribute(STRING)
    port = attribute(UINT, bad=(VIR_ERR_XML_ERROR, "Invalid port number: %s"))
    name = attribute(STRING)
    state = attribute(Choice("connected", "disconnected"), secret=LIVE)
    model = child(TargetModel)


class CharDevice(Device):
    """What serial and parallel ports, consoles and channels share."""

    KIND = "type"
    KINDS = frozenset(CHAR_TYPES)
    TARGETS: tuple[str, ...] = ()
    DEFAULT_TARGET: str | None = None
    NEEDS_PATH = True

    type = attribute(
        Choice(*CHAR_TYPES), default="pty",
        bad=(
            VIR_ERR_CONFIG_UNSUPPORTED,
            "unknown type presented to host for character device: %s",
        ),
    )  # fmt: skip
    tty = attribute(STRING, secret=LIVE)
    sources = children(CharSource, "source", empty=False)
    protocol = child(Protocol, when=("tcp",))
    log = child(Log)
    target = child(CharTarget)

    @property
    def source(self) -> CharSource | None:
        """The only source, or for UDP the first."""
        return self.sources[0] if self.sources else None

    @source.setter
    def source(self, value: CharSource | None) -> None:
        self.sources = [] if value is None else [value]

    def parsed(self, node: Node) -> None:
        complete_source(self)
        if (
            self.type == "unix"
            and self.NEEDS_PATH
            and (self.source is None or self.source.path is None)
        ):
            raise missing("path")
        target = self.target
        if target is None:
            if self.DEFAULT_TARGET is not None:
                self.target = CharTarget(type=self.DEFAULT_TARGET)
            return
        if target.type is None:
            target.type = self.DEFAULT_TARGET
        elif target.type not in self.TARGETS:
            raise report(
                VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
                f"unknown target type '{target.type}' specified for character device",
            )  # fmt: skip


def complete_source(device: Any) -> None:
    """Check what a character source must say, and add what it means when it is silent."""
    kind = device.type
    source = device.sources[0] if device.sources else None
    if kind in ("dev", "file", "pipe") and (source is None or not source.path):
        raise missing("path")
    if kind == "tcp":
        if source is None or source.host is None:
            raise missing("host")
        if source.service is None:
            raise missing("service")
        if source.mode is None:
            source.mode = "connect"
        if device.protocol is None:
            device.protocol = Protocol(type="raw")
    elif kind == "udp":
        if source is None or all(item.service is None for item in device.sources):
            raise missing("service")
        for item in device.sources:
            item.mode = item.mode or "connect"
        device.sources.sort(key=lambda item: item.mode)  # bind, connect
    elif kind == "unix":
        if source is not None:  # without a path drivers make up both
            source.mode = None if source.path is None else source.mode or "connect"
    elif kind == "spiceport" and (source is None or source.channel is None):
        raise report(
            VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
            "Missing source channel attribute for char device",
        )  # fmt: skip
    elif kind == "nmdm" and source is not None and not (source.master and source.slave):
        raise report(
            VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN,
            "Should define both master and slave path attributes for nmdm device",
        )  # fmt: skip
    if device.sources:
        device.sources = [item for item in device.sources if not item.blank]


def missing(name: str) -> Exception:
    """The error of a character source that lacks an attribute."""
    return report(
        VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN,
        f"Missing source {name} attribute for char device",
    )  # fmt: skip


class Serial(CharDevice):
    """A serial port."""

    TARGETS = (
        "isa-serial", "usb-serial", "pci-serial", "spapr-vio-serial", "system-serial",
        "sclp-serial", "isa-debug",
    )  # fmt: skip


class Parallel(CharDevice):
    """A parallel port."""

    TARGETS = ("none",)


class Console(CharDevice):
    """A console: a view of the first serial port, or one of its own."""

    TARGETS = ("serial", "xen", "uml", "virtio", "lxc", "openvz", "sclp", "sclplm")
    DEFAULT_TARGET = "serial"


class Channel(CharDevice):
    """A private channel between host and guest."""

    TARGETS = ("guestfwd", "virtio", "xen")
    NEEDS_PATH = False  # drivers make one up

    def parsed(self, node: Node) -> None:
        if self.target is None or self.target.type is None:
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                "target type must be specified for channel device",
            )  # fmt: skip
        super().parsed(node)
        if self.target.type == "guestfwd":
            if self.target.address is None:
                raise report(
                    VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                    "guestfwd channel does not define a target address",
                )  # fmt: skip
            if self.target.port is None:
                raise required("port", "target")
