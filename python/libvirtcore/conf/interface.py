# SPDX-License-Identifier: LGPL-2.1-or-later
"""interface.py: network interfaces of a guest.

Called by: devices.py. Calls: address.py, chardev.py, schema.py.
Never: makes up a MAC address (drivers do), touches the host's network.
"""

from __future__ import annotations

import ipaddress
import re

from libvirtcore.conf.address import Address, BootDevice, Rom
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint, required
from libvirtcore.conf.schema import (
    IGNORED,
    KEPT,
    LIVE,
    Element,
    attribute,
    child,
    children,
    leaf,
)
from libvirtcore.conf.storage import Reconnect
from libvirtcore.conf.values import INT, ONOFF, STRING, UINT, ULONG, YESNO, Choice
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_NONE,
)

NET_TYPES = (
    "user", "ethernet", "vhostuser", "server", "client", "mcast", "network", "bridge", "internal",
    "direct", "hostdev", "udp", "vdpa", "null", "vds",
)  # fmt: skip
_SOCKETS = ("server", "client", "mcast", "udp")
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}\Z")
_MODEL = re.compile(r"[a-zA-Z0-9\-_]*\Z")


class Mac(Element):
    """The address of an interface."""

    address = attribute(STRING)
    type = attribute(Choice("generated", "static"))
    check = attribute(YESNO)

    def parsed(self, node: Node) -> None:
        mac = self.address
        if mac is None:
            return
        if _MAC.match(mac) is None:
            raise xml_error(f"unable to parse mac address '{mac}'")
        if int(mac.partition(":")[0], 16) & 1:
            raise xml_error(f"expected unicast mac address, found multicast '{mac}'")
        self.address = ":".join(f"{int(part, 16):02x}" for part in mac.split(":"))


class SocketLocal(Element):
    """The local end of a UDP tunnel."""

    address = attribute(STRING)
    port = attribute(UINT)


class Ip(Element):
    """An address of an interface, with its peer."""

    address = attribute(STRING)
    family = attribute(Choice("ipv4", "ipv6"))
    netmask = attribute(STRING)
    prefix = attribute(UINT, bad=(VIR_ERR_XML_ERROR, "Invalid prefix value '%s' in <ip>"))
    peer = attribute(STRING)

    def parsed(self, node: Node) -> None:
        if self.address is None:
            raise xml_error("Missing required address in <ip>")
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            raise xml_error(f"Invalid address '{self.address}' in <ip>") from None
        if self.family is None:
            self.family = f"ipv{address.version}"


class Route(Element):
    """A route through an interface."""

    family = attribute(Choice("ipv4", "ipv6"))
    address = attribute(STRING)
    netmask = attribute(STRING)
    prefix = attribute(UINT)
    gateway = attribute(STRING)
    metric = attribute(UINT)


class InterfaceSource(Element):
    """What an interface is plugged into. What counts depends on its type."""

    network = attribute(STRING, when=("network",))
    portgroup = attribute(STRING, when=("network",))
    portid = attribute(STRING, when=("network",), secret=LIVE)
    bridge = attribute(STRING, when=("bridge", "network"))
    name = attribute(STRING, when=("internal",))
    type = attribute(STRING, when=("vhostuser",))
    path = attribute(STRING, when=("vhostuser",))
    dev = attribute(STRING, when=("direct", "vdpa", "user"))
    mode = attribute(STRING, when=("direct", "vhostuser"))
    address_ = attribute(STRING, "address", when=_SOCKETS)
    port = attribute(INT, when=_SOCKETS)
    managed = attribute(YESNO, when=("direct",))
    switchid = attribute(STRING, when=("vds",))
    portgroupid = attribute(STRING, when=("vds",))
    connectionid = attribute(STRING, when=("vds",))
    reconnect = child(Reconnect, when=("vhostuser",))
    local = child(SocketLocal, when=("udp",))
    ips = children(Ip, "ip")
    routes = children(Route, "route")
    address = child(Address, when=("hostdev",))


class VirtualPortParameters(Element):
    """What a virtual port tells the switch."""

    managerid = attribute(UINT)
    typeid = attribute(UINT)
    typeidversion = attribute(UINT)
    instanceid = attribute(STRING)
    interfaceid = attribute(STRING)
    profileid = attribute(STRING)


class VirtualPort(Element):
    """The kind of port on a switch that can be told about its guests."""

    type = attribute(
        Choice("802.1Qbg", "802.1Qbh", "openvswitch", "midonet"),
        missing=(VIR_ERR_XML_ERROR, "missing required virtualport type", VIR_FROM_NONE),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown virtualport type %s", VIR_FROM_NONE),
    )
    parameters = child(VirtualPortParameters)


def _rate(name: str) -> tuple[int, str, int]:
    return (
        VIR_ERR_CONFIG_UNSUPPORTED, f"could not convert bandwidth {name} value '%s'",
        VIR_FROM_NONE,
    )  # fmt: skip


class Rate(Element):
    """A limit in KiB per second."""

    average = attribute(ULONG, bad=_rate("average"))
    peak = attribute(ULONG, bad=_rate("peak"))
    floor = attribute(ULONG, bad=_rate("floor"))
    burst = attribute(ULONG, bad=_rate("burst"))

    def parsed(self, node: Node) -> None:
        if self.average is None and self.floor is None:
            raise complaint((
                VIR_ERR_XML_DETAIL, "Missing mandatory average or floor attributes",
                VIR_FROM_NONE,
            ))  # fmt: skip


class Bandwidth(Element):
    """Limits of an interface, each direction."""

    inbound = child(Rate)
    outbound = child(Rate)


class VlanTag(Element):
    """One VLAN."""

    id = attribute(UINT, required=True)
    native_mode = attribute(Choice("tagged", "untagged"), "nativeMode")

    def parsed(self, node: Node) -> None:
        if self.id > 4095:
            raise complaint((
                VIR_ERR_XML_ERROR, f"vlan tag id {self.id} too large (maximum 4095)",
                VIR_FROM_NONE,
            ))  # fmt: skip


class Vlan(Element):
    """The VLANs an interface is in."""

    trunk = attribute(YESNO)
    tags = children(VlanTag, "tag")

    def parsed(self, node: Node) -> None:
        if not self.tags:
            raise complaint((
                VIR_ERR_XML_ERROR,
                "missing tag id - each <vlan> must have at least one <tag id='n'/> subelement",
                VIR_FROM_NONE,
            ))  # fmt: skip


class Script(Element):
    """A program run when an interface comes up or goes down."""

    path = attribute(STRING)


class BackendDomain(Element):
    """The Xen domain at the other end."""

    name = attribute(STRING)


class InterfaceTarget(Element):
    """The device on the host."""

    dev = attribute(STRING)
    managed = attribute(YESNO)


class Guest(Element):
    """The name in a container."""

    dev = attribute(STRING)
    actual = attribute(STRING)


class InterfaceModel(Element):
    """The card the guest sees."""

    type = attribute(STRING)

    def parsed(self, node: Node) -> None:
        if self.type is not None and _MODEL.match(self.type) is None:
            raise report(
                VIR_ERR_INVALID_ARG, VIR_FROM_DOMAIN, "Model name contains invalid characters"
            )


class Offloads(Element):
    """Offloads of one side of a virtio interface."""

    csum = attribute(ONOFF)
    gso = attribute(ONOFF)
    tso4 = attribute(ONOFF)
    tso6 = attribute(ONOFF)
    ecn = attribute(ONOFF)
    ufo = attribute(ONOFF)
    mrg_rxbuf = attribute(ONOFF)


class InterfaceDriver(Element):
    """Back end, queues and offloads of an interface."""

    name = attribute(Choice("qemu", "vhost", "vfio", "kvm", "xen"), bad=IGNORED)
    txmode = attribute(Choice("iothread", "timer"))
    ioeventfd = attribute(ONOFF)
    event_idx = attribute(ONOFF)
    queues = attribute(UINT)
    rx_queue_size = attribute(UINT)
    tx_queue_size = attribute(UINT)
    rss = attribute(ONOFF)
    rss_hash_report = attribute(ONOFF)
    iommu = attribute(ONOFF)
    ats = attribute(ONOFF)
    packed = attribute(ONOFF)
    page_per_vq = attribute(ONOFF)
    host = child(Offloads)
    guest = child(Offloads)


class InterfaceBackend(Element):
    """Who moves the packets: passt for user networks, device files for tap."""

    type = attribute(Choice("passt", silent=("default",)))
    tap = attribute(STRING)
    vhost = attribute(STRING)
    log_file = attribute(STRING, "logFile")


class FilterParameter(Element):
    """A value for a variable of a network filter."""

    name = attribute(STRING)
    value = attribute(STRING)


class FilterRef(Element):
    """The network filter an interface is behind."""

    filter = attribute(STRING)
    parameters = children(FilterParameter, "parameter")


class Link(Element):
    """Whether the cable is in."""

    state = attribute(
        Choice("up", "down", silent=("default",)),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown interface link state '%s'"),
    )


class Mtu(Element):
    """The largest packet."""

    size = attribute(UINT, bad=(VIR_ERR_XML_ERROR, "malformed mtu size"))


class Frames(Element):
    """How many packets may wait together."""

    max = attribute(
        UINT, bad=(VIR_ERR_XML_DETAIL, "cannot parse value '%s' for coalesce parameter")
    )


class CoalesceRx(Element):
    """Received packets that wait together."""

    frames = child(Frames)


class Coalesce(Element):
    """How packets wait for each other."""

    rx = child(CoalesceRx)


class PortRange(Element):
    """Ports that are forwarded, or kept from it."""

    start = attribute(UINT)
    end = attribute(UINT)
    to = attribute(UINT)
    exclude = attribute(YESNO)


class PortForward(Element):
    """Ports of the host that passt forwards to the guest."""

    proto = attribute(Choice("tcp", "udp"), required=True)
    address = attribute(STRING)
    dev = attribute(STRING)
    ranges = children(PortRange, "range")


class Tune(Element):
    """The send buffer of a tap device."""

    sndbuf = leaf(ULONG, bad=(VIR_ERR_XML_ERROR, "sndbuf must be a positive integer"))


class Teaming(Element):
    """Two interfaces that take over for each other."""

    type = attribute(
        Choice("persistent", "transient"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown teaming type '%s'"),
    )
    persistent = attribute(STRING)

    def parsed(self, node: Node) -> None:
        if self.type == "transient" and not self.persistent:
            raise unsupported(
                "teaming persistent attribute must be set if teaming type is 'transient'"
            )


class IsolatedPort(Element):
    """Whether guests behind the same bridge see each other."""

    isolated = attribute(YESNO)


class Interface(BootDevice):
    """A network interface."""

    KIND = "type"
    KINDS = frozenset(NET_TYPES)

    type = attribute(Choice(*NET_TYPES), default="user")
    managed = attribute(YESNO)
    trust_guest_rx_filters = attribute(YESNO, "trustGuestRxFilters")
    mac = child(Mac)
    source = child(InterfaceSource, secret=KEPT)
    vlan = child(Vlan)
    virtualport = child(VirtualPort)
    bandwidth = child(Bandwidth)
    port = child(IsolatedPort)
    ips = children(Ip, "ip")
    routes = children(Route, "route")
    port_forwards = children(PortForward, "portForward")
    script = child(Script)
    downscript = child(Script)
    backenddomain = child(BackendDomain)
    target = child(InterfaceTarget)
    guest = child(Guest)
    model = child(InterfaceModel)
    driver = child(InterfaceDriver)
    backend = child(InterfaceBackend)
    filterref = child(FilterRef)
    tune = child(Tune)
    teaming = child(Teaming)
    link = child(Link)
    mtu = child(Mtu)
    coalesce = child(Coalesce)
    rom = child(Rom, order=1003)

    def parsed(self, node: Node) -> None:
        kind = self.type
        source = self.source
        if kind == "hostdev" and (source is None or source.address is None):
            raise xml_error("missing source address type")
        if self.rom is not None and self.rom.enabled == "no" and (self.rom.bar or self.rom.file):
            raise unsupported("ROM tuning is not supported when ROM is disabled")
        wanted = NEEDED.get(kind)
        if wanted is None:
            if source is not None and source.blank:
                self.source = None
            return
        if source is None:
            raise xml_error(f"interface type='{kind}' requires a 'source' element")
        if kind == "udp" and source.local is None:
            raise xml_error("'<local>' element missing for 'udp' socket interface")
        for name in wanted:
            if getattr(source, name) in (None, ""):
                raise required(name.rstrip("_"), "source")


NEEDED: dict[str, tuple[str, ...]] = {
    "network": ("network",),
    "bridge": ("bridge",),
    "direct": ("dev",),
    "internal": ("name",),
    "vdpa": ("dev",),
    "vhostuser": ("path", "mode"),
    "server": ("port",),
    "client": ("address_", "port"),
    "mcast": ("address_", "port"),
    "udp": ("address_", "port"),
}


def unsupported(message: str) -> VirError:
    """The error of a configuration nobody supports."""
    return report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN, message)


def xml_error(message: str) -> VirError:
    """An XML error of the domain room."""
    return report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, message)
