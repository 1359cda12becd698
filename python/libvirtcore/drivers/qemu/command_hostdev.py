# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_hostdev.py: devices of the host given to the guest, and USB devices redirected to it.

Called by: command.py, attach code (hostdev_device). Calls: command_chardev.py, command_net.py.
Never: detaches a device from the host.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu.command_chardev import backend
from libvirtcore.drivers.qemu.command_devices import PlainChardev
from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    alias,
    get,
    internal,
    present,
    unsupported,
)
from libvirtcore.drivers.qemu.command_net import rom

_RESETS = {"off": {"guest-reset": False},
           "uninitialized": {"guest-resets-all": False},
           "on": {"guest-reset": True}}  # fmt: skip


def hostdevs(line: Line) -> None:
    for device in get(line.dom.devices, "hostdevs") or ():
        line.device(hostdev_device(line, device))
    for device in line.dom.devices.interfaces:
        if device.type == "hostdev":
            line.device(_pci(line, device))


def hostdev_device(line: Line, device: Any) -> Props:
    """The properties of a device passed through."""
    if device.mode not in (None, "subsystem"):
        raise unsupported(f"hostdev mode '{device.mode}' not supported by QEMU")
    if device.type == "usb":
        return _usb(line, device)
    if device.type == "pci":
        return _pci(line, device)
    if device.type == "mdev":
        return _mediated(line, device)
    raise unsupported(f"hostdev type '{device.type}' is not supported yet")


def _usb(line: Line, device: Any) -> Props:
    place = get(device, "source", "address")
    number = get(place, "device")
    if place is None or not number:
        if get(device, "source", "startup_policy") != "optional":
            raise internal("USB host device is missing bus/device information")
        path = None
    else:
        path = f"/dev/bus/usb/{place.bus or 0:03d}/{number:03d}"
    props: Props = {"driver": "usb-host"}
    if path is not None:
        props["hostdevice"] = path
    props.update(present({"id": alias(device), "bootindex": line.boot_index.get(id(device))}))
    reset = get(device, "source", "guest_reset")
    if reset is not None:
        props.update(_RESETS[reset])
    return {**props, **line.address(device)}


def _pci(line: Line, device: Any) -> Props:
    place = device.source.address
    host = f"{place.domain or 0:04x}:{place.bus or 0:02x}:{place.slot or 0:02x}"
    props: Props = {"driver": "vfio-pci", "host": f"{host}.{place.function or 0:x}"}
    partner = get(device, "teaming", "persistent")
    if partner:
        props["failover_pair_id"] = partner
    props.update(present({"id": alias(device), "bootindex": line.boot_index.get(id(device))}))
    return {**props, **line.address(device), **rom(device)}


def _mediated(line: Line, device: Any) -> Props:
    uuid = device.source.address.uuid
    drivers = {"vfio-pci": "vfio-pci", "vfio-ccw": "vfio-ccw", "vfio-ap": "vfio-ap"}
    driver = drivers[device.model]
    if device.ramfb:
        driver = "vfio-pci-nohotplug"
    props: Props = {"driver": driver, "id": alias(device),
                    "sysfsdev": f"/sys/bus/mdev/devices/{uuid}"}  # fmt: skip
    if device.display is not None:
        props["display"] = "on" if device.display else "off"
    if device.ramfb:
        props["ramfb"] = True
    props.update(present({"bootindex": line.boot_index.get(id(device))}))
    return {**props, **line.address(device)}


def redirdevs(line: Line) -> None:
    filters = get(line.dom.devices, "redirfilter")
    for device in get(line.dom.devices, "redirdevs") or ():
        name = alias(device)
        chardev = backend(line, PlainChardev(device, "usbredir"), name)
        props: Props = {"driver": "usb-redir", "chardev": chardev, "id": name}
        rules = get(filters, "usbdevs")
        if rules:
            props["filter"] = "|".join(_rule(rule) for rule in rules)
        props.update(present({"bootindex": line.boot_index.get(id(device))}))
        line.device({**props, **line.address(device)})


def _rule(rule: Any) -> str:
    """One rule as class:vendor:product:version:allow, -1 for any."""

    def hexadecimal(value: int | None, digits: int) -> str:
        return "-1" if value is None or value < 0 else f"0x{value:0{digits}X}"

    version = -1
    if rule.version is not None:
        major, _, minor = str(rule.version).partition(".")
        version = (int(major) // 10 << 12) | (int(major) % 10 << 8)
        if minor:
            version |= (int(minor[0]) << 4) | int((minor + "0")[1])
    return ":".join([
        hexadecimal(rule.class_, 2), hexadecimal(rule.vendor, 4), hexadecimal(rule.product, 4),
        hexadecimal(version, 4), str(int(bool(rule.allow))),
    ])  # fmt: skip
