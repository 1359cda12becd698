# SPDX-License-Identifier: LGPL-2.1-or-later
"""agent_facts.py: what an agent says of its guest, checked and put into typed parameters.

Called by: agent_calls. Calls: interfaces.
Never: talks to an agent; takes more items than anybody needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libvirtcore.drivers.qemu.guest import internal
from libvirtcore.drivers.qemu.interfaces import MANY, agent_interfaces
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c

Params = list[tuple[str, int, Any]]
_STRING, _UINT, _ULLONG = (
    c.VIR_TYPED_PARAM_STRING, c.VIR_TYPED_PARAM_UINT, c.VIR_TYPED_PARAM_ULLONG,
)  # fmt: skip
_OS_FIELDS = (
    "id", "name", "pretty-name", "version", "version-id", "machine", "variant", "variant-id",
    "kernel-release", "kernel-version",
)  # fmt: skip


def _malformed(what: str) -> VirError:
    return internal(f"malformed data from the guest agent: {what}")


def _items(answer: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(answer, list):
        raise _malformed(what)
    items = [item for item in answer[:MANY] if isinstance(item, dict)]
    if len(items) != len(answer[:MANY]):
        raise _malformed(what)
    return items


def _text(item: dict[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def users(_model: Any, answer: Any) -> Params:
    items = _items(answer, "users")
    params: Params = [("user.count", _UINT, len(items))]
    for number, item in enumerate(items):
        for key, name in (("user", "name"), ("domain", "domain")):
            value = _text(item, key)
            if value is not None:
                params.append((f"user.{number}.{name}", _STRING, value))
        login = item.get("login-time")
        if isinstance(login, int | float) and 0 <= login < 1 << 53:
            params.append((f"user.{number}.login-time", _ULLONG, int(login * 1000)))
    return params


def system(_model: Any, answer: Any) -> Params:
    if not isinstance(answer, dict):
        raise _malformed("the operating system")
    values = ((name, _text(answer, name)) for name in _OS_FIELDS)
    return [(f"os.{name}", _STRING, value) for name, value in values if value is not None]


def timezone(_model: Any, answer: Any) -> Params:
    offset = answer.get("offset") if isinstance(answer, dict) else None
    if not isinstance(offset, int) or not -86400 * 2 < offset < 86400 * 2:
        raise _malformed("the time zone")
    params: Params = []
    zone = _text(answer, "zone")
    if zone is not None:
        params.append(("timezone.name", _STRING, zone))
    return [*params, ("timezone.offset", c.VIR_TYPED_PARAM_INT, offset)]


def hostname(_model: Any, answer: Any) -> Params:
    name = _text(answer, "host-name") if isinstance(answer, dict) else None
    if name is None:
        raise _malformed("the host name")
    return [("hostname", _STRING, name)]


def filesystems(model: Any, answer: Any) -> Params:
    items = _items(answer, "file systems")
    params: Params = [("fs.count", _UINT, len(items))]
    for number, item in enumerate(items):
        for key, name in (("name", "name"), ("mountpoint", "mountpoint"), ("type", "fstype")):
            value = _text(item, key)
            if value is not None:
                params.append((f"fs.{number}.{name}", _STRING, value))
        for key in ("total-bytes", "used-bytes"):
            size = item.get(key)
            if isinstance(size, int) and 0 <= size < 1 << 64:
                params.append((f"fs.{number}.{key}", _ULLONG, size))
        targets = _targets(model, item)
        params.append((f"fs.{number}.disk.count", _UINT, len(targets)))
        for place, target in enumerate(targets):
            params.append((f"fs.{number}.disk.{place}.alias", _STRING, target))
    return params


def interfaces(_model: Any, answer: Any) -> Params:
    listed = agent_interfaces(answer)
    params: Params = [("if.count", _UINT, len(listed))]
    for number, (name, mac, addresses) in enumerate(listed):
        prefix = f"if.{number}."
        params.append((f"{prefix}name", _STRING, name))
        if mac is not None:
            params.append((f"{prefix}hwaddr", _STRING, mac))
        params.append((f"{prefix}addr.count", _UINT, len(addresses)))
        for place, (kind, address, size) in enumerate(addresses):
            word = "ipv4" if kind == c.VIR_IP_ADDR_TYPE_IPV4 else "ipv6"
            params += [
                (f"{prefix}addr.{place}.type", _STRING, word),
                (f"{prefix}addr.{place}.addr", _STRING, address),
                (f"{prefix}addr.{place}.prefix", _UINT, size),
            ]
    return params


def describe_filesystems(model: Any, answer: Any) -> list[tuple[str, str, str, list[str]]]:
    """Mounted file systems: where, what they are called, their type, their disks."""
    found = []
    for item in _items(answer, "file systems"):
        mount, name, kind = (_text(item, key) for key in ("mountpoint", "name", "type"))
        if mount is None or name is None or kind is None:
            raise _malformed("a file system")
        found.append((mount, name, kind, _targets(model, item)))
    return sorted(found)


def _targets(model: Any, item: dict[str, Any]) -> list[str]:
    """The disks of a model that a file system lies on, by their places on PCI or a controller."""
    found = []
    listed = item.get("disk")
    for one in listed[:MANY] if isinstance(listed, list) else ():
        place = one.get("pci-controller") if isinstance(one, dict) else None
        if not isinstance(place, dict):
            continue
        pci = tuple(place.get(key) for key in ("domain", "bus", "slot", "function"))
        drive = tuple(one.get(key) for key in ("bus", "target", "unit"))
        for disk in model.devices.disks:
            if _is_at(model, disk, pci, drive):
                found.append(disk.target.dev)
    return found


def _is_at(model: Any, disk: Any, pci: tuple[Any, ...], drive: tuple[Any, ...]) -> bool:
    place = disk.address
    if place is None:
        return False
    if place.type == "pci":
        return _pci(place) == pci
    if place.type != "drive" or (place.bus or 0, place.target or 0, place.unit or 0) != drive:
        return False
    return any(
        each.type == disk.target.bus
        and (each.index or 0) == (place.controller or 0)
        and each.address is not None
        and _pci(each.address) == pci
        for each in model.devices.controllers
    )


def _pci(place: Any) -> tuple[int, int, int, int]:
    return (place.domain or 0, place.bus or 0, place.slot or 0, place.function or 0)


# Which bit asks for it, the agent's command, what becomes of its answer.
GUEST_INFO: tuple[tuple[int, str, Callable[[Any, Any], Params]], ...] = (
    (c.VIR_DOMAIN_GUEST_INFO_USERS, "guest-get-users", users),
    (c.VIR_DOMAIN_GUEST_INFO_OS, "guest-get-osinfo", system),
    (c.VIR_DOMAIN_GUEST_INFO_TIMEZONE, "guest-get-timezone", timezone),
    (c.VIR_DOMAIN_GUEST_INFO_HOSTNAME, "guest-get-host-name", hostname),
    (c.VIR_DOMAIN_GUEST_INFO_FILESYSTEM, "guest-get-fsinfo", filesystems),
    (c.VIR_DOMAIN_GUEST_INFO_INTERFACES, "guest-network-get-interfaces", interfaces),
)
