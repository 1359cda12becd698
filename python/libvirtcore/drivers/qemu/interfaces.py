# SPDX-License-Identifier: LGPL-2.1-or-later
"""interfaces.py: what goes through a guest's network interfaces, and which addresses it has there.

Called by: drivers.qemu.driver (mixin), stats_groups. Calls: /proc, the agent.
Never: asks QEMU, which counts nothing; needs a job.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import internal
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_NAMES = ("bytes", "pkts", "errs", "drop")
# Devices of the host that the guest has for itself: what they receive, the guest receives. At a
# tap the host's and the guest's directions are opposite.
_SHARED_VIEW = ("direct", "hostdev", "network-direct")


def counters(interface: Any, name: str) -> dict[str, int] | None:
    """rx.bytes … tx.drop as the guest sees them; None when the host has no such interface."""
    found = _host_counters(name)
    if found is None:
        return None
    received, sent = found
    if interface.type not in _SHARED_VIEW:
        received, sent = sent, received
    values = {f"rx.{key}": value for key, value in zip(_NAMES, received, strict=True)}
    return values | {f"tx.{key}": value for key, value in zip(_NAMES, sent, strict=True)}


def _host_counters(name: str) -> tuple[list[int], list[int]] | None:
    """What an interface of the host has received and sent."""
    try:
        with open("/proc/net/dev", encoding="ascii", errors="replace") as file:
            for line in file:
                title, colon, rest = line.partition(":")
                if colon and title.strip() == name:
                    fields = [int(field) for field in rest.split()]
                    return fields[0:4], fields[8:12]
    except (OSError, ValueError, IndexError):
        pass
    return None


def find_interface(model: Any, device: str) -> Any:
    """The interface with a name on the host or a MAC address. Raises: VirError."""
    for interface in model.devices.interfaces:
        mac = interface.mac.address if interface.mac is not None else None
        name = interface.target.dev if interface.target is not None else None
        if device and device in (name, mac):
            return interface
    raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_DOMAIN, f"'{device}' is not a known interface")


class InterfaceCalls(Calls):
    """The calls about interfaces."""

    def domain_interface_stats(
        self, dom: DomainHandle, path: str
    ) -> tuple[int, int, int, int, int, int, int, int]:
        guest = self.host.find(dom)
        guest.running()
        interface = find_interface(guest.model(), path)
        name = interface.target.dev if interface.target is not None else None
        if not name:
            raise report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_NONE, "Interface name not provided")
        values = counters(interface, name)
        if values is None:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_NONE, "/proc/net/dev: Interface not found"
            )
        order = [f"{side}.{key}" for side in ("rx", "tx") for key in ("bytes", "pkts")]
        order[2:2] = ["rx.errs", "rx.drop"]
        order += ["tx.errs", "tx.drop"]
        return tuple(values[key] for key in order)  # type: ignore[return-value]


def agent_interfaces(answer: Any) -> list[tuple[str, str | None, list[tuple[int, str, int]]]]:
    """Interfaces as an agent describes them. Raises: VirError when the answer makes no sense."""
    if not isinstance(answer, list):
        raise internal("qemu agent didn't return an array of interfaces")
    found: dict[str, tuple[str, str | None, list[tuple[int, str, int]]]] = {}
    for item in answer[:MANY]:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise internal("qemu agent didn't provide 'name' field")
        # An alias eth0:1 of an interface is the interface itself with another address.
        base = name.partition(":")[0]
        mac = item.get("hardware-address")
        entry = found.setdefault(base, (base, mac if isinstance(mac, str) else None, []))
        listed = item.get("ip-addresses")
        for address in listed[:MANY] if isinstance(listed, list) else ():
            entry[2].append(_address(address, base))
    return list(found.values())


MANY = 2048  # interfaces, and addresses of one, that an agent may tell


def _address(item: Any, name: str) -> tuple[int, str, int]:
    if not isinstance(item, dict):
        raise _bad(name)
    kind = item.get("ip-address-type")
    if kind not in ("ipv4", "ipv6"):
        raise internal(f"unknown ip address type '{kind}'")
    address, prefix = item.get("ip-address"), item.get("prefix")
    if not isinstance(address, str) or not isinstance(prefix, int) or not 0 <= prefix <= 128:
        raise _bad(name)
    number = c.VIR_IP_ADDR_TYPE_IPV4 if kind == "ipv4" else c.VIR_IP_ADDR_TYPE_IPV6
    return number, address, prefix


def _bad(name: str) -> VirError:
    return internal(f"qemu agent didn't provide 'ip-address' field for interface '{name}'")
