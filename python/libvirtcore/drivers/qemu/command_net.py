# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_net.py: network interfaces: back end and card.

Called by: command.py, attach code (netdev, net_device). Calls: command_line.py.
Never: opens a tap device or talks to a bridge: their descriptors are in the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    alias,
    comma,
    get,
    present,
    unsupported,
)

_VIRTIO = ("virtio", "virtio-transitional", "virtio-non-transitional")
_TAP = ("ethernet", "network", "bridge", "direct")
_OFFLOADS = (
    ("host", "csum", "csum"), ("host", "gso", "gso"), ("host", "tso4", "host_tso4"),
    ("host", "tso6", "host_tso6"), ("host", "ecn", "host_ecn"), ("host", "ufo", "host_ufo"),
    ("host", "mrg_rxbuf", "mrg_rxbuf"), ("guest", "csum", "guest_csum"),
    ("guest", "tso4", "guest_tso4"), ("guest", "tso6", "guest_tso6"),
    ("guest", "ecn", "guest_ecn"), ("guest", "ufo", "guest_ufo"),
)  # fmt: skip
_NATIVE_TAP = 28  # the first descriptor domxml-to-native speaks of


def interfaces(line: Line) -> None:
    for place, device in enumerate(line.dom.devices.interfaces):
        if device.type == "hostdev":
            continue  # a host device, with those
        if device.type == "vhostuser":
            _vhost_user_chardev(line, device)
        line.json("-netdev", netdev(line, device, place))
        line.device(net_device(line, device))


def netdev(line: Line, device: Any, place: int = 0) -> Props:
    """The host's side of an interface."""
    kind = device.type
    if kind in _TAP:
        props = _tap(line, device, place)
    elif kind == "user":
        props = _user(line, device)
    elif kind in ("server", "client", "mcast", "udp"):
        props = _socket(device)
    elif kind == "vhostuser":
        queues = get(device, "driver", "queues") or 0
        props = {"type": "vhost-user", "chardev": f"char{alias(device)}"}
        if queues > 1:
            props["queues"] = queues
    elif kind == "vdpa":
        props = {"type": "vhost-vdpa", "vhostdev": f"/dev/fdset/{line.ctx.vdpa[alias(device)]}"}
        queues = get(device, "driver", "queues") or 0
        if queues > 1:
            props["queues"] = queues
    else:
        raise unsupported(f"unsupported configuration: network type {kind} is not supported")
    props["id"] = f"host{alias(device)}"
    return props


def _many(name: str, items: Sequence[int | str]) -> Props:
    if len(items) == 1:
        return {name: str(items[0])}
    return {f"{name}s": ":".join(str(item) for item in items)}


def _tap(line: Line, device: Any, place: int) -> Props:
    name = alias(device)
    taps = line.ctx.taps.get(name)
    if taps is None:
        if not line.ctx.native:
            raise unsupported(f"no tap device was opened for interface '{name}'")
        taps = [_NATIVE_TAP + place]
    props: Props = {"type": "tap", **_many("fd", taps)}
    vhosts = line.ctx.vhosts.get(name)
    if vhosts:
        props.update({"vhost": True, **_many("vhostfd", vhosts)})
    sndbuf = get(device, "tune", "sndbuf")
    if sndbuf:
        props["sndbuf"] = sndbuf
    return props


def _user(line: Line, device: Any) -> Props:
    if get(device, "backend", "type") == "passt":
        path = line.ctx.passt.get(alias(device))
        if path is None:
            raise unsupported("passt was not started for this interface")
        addr = {"type": "unix", "path": path}
        if path.startswith("fd:"):  # connected already
            addr = {"type": "fd", "str": path.removeprefix("fd:")}
        return {"type": "stream", "addr": addr, "server": False}
    props: Props = {"type": "user"}
    for ip in device.ips:
        if (ip.family or "ipv4") == "ipv4":
            props["net"] = f"{ip.address}/{ip.prefix}" if ip.prefix else ip.address
        else:
            props["ipv6-prefix"] = ip.address
            if ip.prefix:
                props["ipv6-prefixlen"] = ip.prefix
    return props


def _socket(device: Any) -> Props:
    source = device.source
    place = f"{source.address_ or ''}:{source.port}"
    word = {"server": "listen", "client": "connect", "mcast": "mcast", "udp": "udp"}[device.type]
    props: Props = {"type": "socket", word: place}
    if device.type == "udp" and source.local is not None:
        props["localaddr"] = f"{source.local.address or ''}:{source.local.port}"
    return props


def _vhost_user_chardev(line: Line, device: Any) -> None:
    source = device.source
    words = ["socket", f"id=char{alias(device)}", f"path={comma(source.path)}"]
    if source.mode == "server":
        words.append("server=on")
    elif get(source, "reconnect", "enabled") is not None:
        wanted = source.reconnect
        words.append(f"reconnect={wanted.timeout or 0 if wanted.enabled else 0}")
    line.add("-chardev", ",".join(words))


def net_device(line: Line, device: Any) -> Props:
    """The card the guest sees."""
    model = get(device, "model", "type") or "rtl8139"
    props: Props
    if model in _VIRTIO:
        props = line.virtio("virtio-net", device, model)
        _virtio(line, device, props)
    else:
        props = {"driver": model}
    name = alias(device)
    size = get(device, "mtu", "size")
    props.update(present({
        "host_mtu": size if model in _VIRTIO and size else None,
        "failover": True if get(device, "teaming", "type") == "persistent" else None,
        "netdev": f"host{name}",
        "id": name,
        "mac": get(device, "mac", "address"),
        "bootindex": line.boot_index.get(id(device)),
    }))  # fmt: skip
    props.update(line.address(device))
    props.update(rom(device))
    return props


def _virtio(line: Line, device: Any, props: Props) -> None:
    driver = device.driver
    mode = get(driver, "txmode")
    queues = _queues(line, device)
    props.update(present({
        "tx": {"iothread": "bh", "timer": "timer"}.get(mode or ""),
        "ioeventfd": get(driver, "ioeventfd"),
        "event_idx": get(driver, "event_idx"),
    }))  # fmt: skip
    for side, name, option in _OFFLOADS:
        state = get(driver, side, name)
        if state is not None:
            props[option] = state
    if queues > 1:
        props.update({"mq": True, "vectors": 2 * queues + 2})
    props.update(present({
        "rx_queue_size": get(driver, "rx_queue_size") or None,
        "tx_queue_size": get(driver, "tx_queue_size") or None,
        "rss": get(driver, "rss"),
        "hash": get(driver, "rss_hash_report"),
    }))  # fmt: skip


def _queues(line: Line, device: Any) -> int:
    """How many queues the back end really has."""
    if device.type in ("vhostuser", "vdpa"):
        return int(get(device, "driver", "queues") or 1)
    return len(line.ctx.taps.get(alias(device), ()))


def rom(device: Any) -> Props:
    """The option ROM of a PCI device."""
    said = device.rom
    if said is None:
        return {}
    if said.enabled == "no":
        return {"romfile": ""}
    bar = None if said.bar is None else int(said.bar)
    return present({"rombar": bar, "romfile": said.file})
