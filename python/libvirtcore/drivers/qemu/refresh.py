# SPDX-License-Identifier: LGPL-2.1-or-later
"""refresh.py: asks a QEMU that was just started or found what it has chosen by itself.

Called by: drivers.qemu.start, reconnect. Calls: the monitor.
Never: changes anything in QEMU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libvirtcore.conf.chardev import CharSource, Console
from libvirtcore.drivers.qemu.guest import Guest, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libvirtcore.conf import Domain


def refresh(guest: Guest, run: Run) -> None:
    """Learn threads of CPUs and paths of terminals. Raises: VirError."""
    monitor = run.monitor
    live = guest.live
    assert monitor is not None and live is not None
    learn_threads(run)
    chardevs = monitor.command("query-chardev")
    terminals = {
        str(item.get("label")): str(item.get("filename"))[4:]
        for item in chardevs
        if isinstance(item, dict) and str(item.get("filename")).startswith("pty:")
    }
    with guest.lock:
        name_terminals(live, terminals)


def learn_threads(run: Run) -> None:
    """Learn which threads the CPUs are, in the order of their numbers. Raises: VirError."""
    assert run.monitor is not None
    answer = run.monitor.command("query-cpus-fast")
    cpus = [cpu for cpu in answer if isinstance(cpu, dict) and _is_number(cpu)]
    cpus.sort(key=lambda cpu: index if isinstance(index := cpu.get("cpu-index"), int) else 0)
    run.vcpu_threads = [cpu["thread-id"] for cpu in cpus]
    numbers = [cpu.get("cpu-index") for cpu in cpus]
    run.vcpu_numbers = [
        number if isinstance(number, int) else place for place, number in enumerate(numbers)
    ]


def _is_number(cpu: dict[str, Any]) -> bool:
    return isinstance(cpu.get("thread-id"), int)


def character_devices(model: Domain) -> Iterator[Any]:
    """All devices that are a character device on the host's side."""
    devices = model.devices
    if devices is None:
        return
    for group in ("serials", "parallels", "consoles", "channels"):
        yield from getattr(devices, group, None) or ()


def name_terminals(model: Domain, terminals: dict[str, str]) -> None:
    """Write the terminals that QEMU has opened into a model."""
    for device in character_devices(model):
        alias = getattr(getattr(device, "alias", None), "name", None)
        path = terminals.get(f"char{alias}") if alias else None
        if path is None or device.type != "pty":
            continue
        if device.source is None:
            device.source = CharSource()
        device.source.path = path
        if isinstance(device, Console):
            device.tty = path  # says it twice, as in old documents


def set_passwords(guest: Guest, run: Run) -> None:
    """Tell QEMU the passwords of displays; without one such a display stays closed."""
    live, monitor = guest.live, run.monitor
    assert live is not None and monitor is not None
    for graphics in live.devices.graphics:
        password = graphics.passwd
        if password is None and graphics.type == "vnc":
            password = guest.host.conf.vnc_password or None
        if graphics.type not in ("vnc", "spice") or password is None:
            continue
        words: dict[str, object] = {"protocol": graphics.type, "password": password}
        if graphics.connected is not None:
            words["connected"] = graphics.connected
        monitor.command("set_password", words)
        until = expiry(graphics)
        if until is not None:
            monitor.command("expire_password", {"protocol": graphics.type, "time": until})


def expiry(graphics: Any) -> str | None:
    """When a display's password ends, as QEMU wants it; an empty password never opens."""
    import calendar
    import time

    if graphics.passwd == "":
        return "now"
    if graphics.passwd_valid_to is None:
        return None
    moment = time.strptime(graphics.passwd_valid_to, "%Y-%m-%dT%H:%M:%S")
    return str(calendar.timegm(moment))
