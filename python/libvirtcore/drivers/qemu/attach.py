# SPDX-License-Identifier: LGPL-2.1-or-later
"""attach.py: devices added to a definition and to a guest that runs.

A running guest gets a device on a copy of its model first: completed, placed, named. Its words of
a command line are then done over the monitor, and only then is the device part of the model.
Called by: drivers.qemu.driver (mixin). Calls: defaults_attached, command_*, attach_replay.
Never: leaves half a device in QEMU.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from libvirtcore.conf import PARSE_INACTIVE, Domain, parse_device
from libvirtcore.drivers.qemu import (
    command,
    command_chardev,
    command_controllers,
    command_devices,
    command_disks,
    command_net,
    images,
    ownership,
)
from libvirtcore.drivers.qemu.attach_replay import Replay
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    replace_config,
    save_live,
)
from libvirtcore.drivers.qemu.block_calls import qdev
from libvirtcore.drivers.qemu.command_line import Line
from libvirtcore.drivers.qemu.command_secrets import KEY_FILE
from libvirtcore.drivers.qemu.defaults_attached import add_device
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, check_flags
from libvirtcore.drivers.qemu.media import change_medium
from libvirtcore.drivers.qemu.refresh import name_terminals
from libvirtcore.drivers.qemu.resources import Resources
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_LIVE_KINDS = {
    "Disk": "disks", "Interface": "interfaces", "Controller": "controllers", "Serial": "serials",
    "Parallel": "parallels", "Channel": "channels", "Console": "consoles", "Rng": "rngs",
    "Input": "inputs",
}  # fmt: skip
_CHARACTER = ("serials", "parallels", "channels", "consoles")
_TAPS = ("ethernet", "bridge")


def unsupported(detail: str) -> VirError:
    return report(c.VIR_ERR_OPERATION_UNSUPPORTED, c.VIR_FROM_QEMU, detail)


def word(device: Any) -> str:
    """What a kind of device is called in documents."""
    return type(device).__name__.lower()


class AttachCalls(Calls):
    """The calls that add a device."""

    def domain_attach_device(self, dom: DomainHandle, xml: str) -> None:
        self.domain_attach_device_flags(dom, xml, LIVE)

    def domain_attach_device_flags(self, dom: DomainHandle, xml: str, flags: int) -> None:
        check_flags("qemuDomainAttachDeviceLiveAndConfig", flags, LIVE | CONFIG)
        with self._job(dom, "DomainAttachDeviceFlags") as guest:
            flags = affected(guest, flags)
            caps = self.host.capabilities(guest.model())
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            device: Any = parse_device(xml, config or guest.model(), PARSE_INACTIVE)
            if config is not None:
                _check_unique(config, device)
                add_device(config, device, caps, running=False)
            if flags & LIVE:
                model = guest.live
                assert model is not None
                again: Any = parse_device(xml, model, PARSE_INACTIVE)
                if type(device).__name__ == "Interface":
                    again.mac = device.mac  # made up, perhaps: both get the same one
                attach_live(guest, again)
            if config is not None:
                replace_config(guest, config)
            guest.updated = guest.updated or config is not None


def _check_unique(config: Domain, device: Any) -> None:
    if type(device).__name__ == "Disk" and find_disk(config, device.target.dev) is not None:
        raise report(
            c.VIR_ERR_OPERATION_INVALID,
            c.VIR_FROM_QEMU,
            f"target {device.target.dev} already exists",
        )


def find_disk(model: Any, target: str) -> Any:
    for disk in model.devices.disks:
        if disk.target.dev == target:
            return disk
    return None


# --- running guests -------------------------------------------------------------------------------


def attach_live(guest: Guest, device: Any) -> None:
    """Add a device to a running guest; the job is held. Raises: VirError, and nothing is added."""
    kind = _LIVE_KINDS.get(type(device).__name__)
    if type(device).__name__ == "Filesystem":
        raise unsupported("only virtiofs filesystems can be hotplugged")
    if kind is None:
        raise unsupported(f"live attach of device '{word(device)}' is not supported")
    if kind == "disks" and device.device in ("cdrom", "floppy"):
        there = find_disk(guest.model(), device.target.dev)
        if there is not None:
            change_medium(guest, there, device, force=False)
            return
        if device.device == "floppy":
            raise unsupported("disk device type 'floppy' cannot be hotplugged")
    _check_live(guest, kind, device)
    guest.running()
    live = guest.live
    assert live is not None
    trial = live.copy()
    caps = guest.host.capabilities(live)
    if kind == "disks":
        images.complete_chain(device)
        ownership.take_disk(guest.host, guest.name, device)
    add_device(trial, device, caps, running=True)
    implied = [each for each in _news(live, trial, "controllers") if each is not device]
    _check_implied(live, implied)
    with _prepared(guest, kind, device) as (ctx, names):
        line = command.prepare(trial, caps, ctx)
        for controller in implied:
            _add_controller(guest, line, controller)
        line.argv.clear()
        _WORDS[kind](line, device)
        replay = Replay(guest.monitor(), names)
        replay.play(line.argv)
        terminals = {
            name: answer["pty"]
            for name, answer in replay.answers.items()
            if isinstance(answer, dict) and isinstance(answer.get("pty"), str)
        }
        name_terminals(trial, terminals)
        try:
            _after(guest, kind, device)
        except BaseException:
            replay.undo()
            raise
    alias = alias_of(device)
    with guest.lock:
        _adopt(guest, kind, device)
        guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, (alias,))
    save_live(guest)


def _check_implied(live: Any, implied: list[Any]) -> None:
    """Controllers that come with a device are of the kind that is there. Raises: VirError."""
    for controller in implied:
        if controller.type not in ("scsi", "virtio-serial"):
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_DOMAIN,
                f"Could not find {controller.type} controller with index {controller.index} "
                "required for device",
            )
        if controller.type == "scsi" and controller.model is None:
            models = [each.model for each in live.devices.controllers if each.type == "scsi"]
            controller.model = models[0] if models else "virtio-scsi"


def _check_live(guest: Guest, kind: str, device: Any) -> None:
    """Refuse early what QEMU would name badly. Raises: VirError."""
    model: Any = guest.model()
    if kind == "disks" and find_disk(model, device.target.dev) is not None:
        there = find_disk(model, device.target.dev)
        raise report(
            c.VIR_ERR_XML_ERROR,
            c.VIR_FROM_DOMAIN,
            f"target '{device.target.dev}' duplicated for disk sources '{_path(there)}' and "
            f"'{_path(device)}'",
        )
    if kind == "controllers":
        if device.type != "scsi":
            raise unsupported(f"'{device.type}' controller cannot be hot plugged.")
        for there in model.devices.controllers:
            if (there.type, there.index) == (device.type, device.index):
                raise report(
                    c.VIR_ERR_OPERATION_FAILED,
                    c.VIR_FROM_QEMU,
                    f"target {device.type}:{device.index} already exists",
                )
    if kind in _CHARACTER and any(same_port(there, device) for there in getattr(
        model.devices, kind
    )):  # fmt: skip
        raise report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_QEMU, "chardev already exists")
    if kind == "inputs" and device.bus not in ("usb", "virtio"):
        raise unsupported(f"input device on bus '{device.bus}' cannot be hot plugged.")


def same_port(one: Any, other: Any) -> bool:
    """Whether two character devices are the same one for the guest."""
    a, b = one.target, other.target
    if a is None or b is None or a.type != b.type:
        return False
    name = getattr(a, "name", None)
    return name is not None and name == getattr(b, "name", None)


def _path(disk: Any) -> str:
    source = disk.source
    return str(getattr(source, "file", None) or getattr(source, "dev", None) or "(null)")


@contextlib.contextmanager
def _prepared(
    guest: Guest, kind: str, device: Any
) -> Iterator[tuple[command.Context, dict[int, str]]]:
    """What of the host a device needs: sockets and taps, given to QEMU by name."""
    run = guest.running()
    names: dict[int, str] = {}
    with Resources(guest.host, run.folder) as resources:
        if kind in _CHARACTER:
            resources._character_device(device)
        elif kind == "interfaces" and device.type in _TAPS:
            resources._tap(device)
        monitor = guest.monitor()
        for fd in resources.fds:
            names[fd] = f"lvc-{alias_of(device)}-{fd}"
            monitor.command("getfd", {"fdname": names[fd]}, fds=[fd])
        yield (
            command.Context(
                lib_dir=run.folder,
                monitor=-1,
                master_key=_master_key(run.folder),
                sockets=resources.sockets,
                taps={name: [names[fd] for fd in taps] for name, taps in resources.taps.items()},
            ),
            names,
        )


def _master_key(folder: str) -> bytes | None:
    try:
        with open(os.path.join(folder, KEY_FILE), "rb") as file:
            return file.read(64)
    except OSError:
        return None


def _news(live: Any, trial: Any, kind: str) -> list[Any]:
    """What a copy of a model has more than the model."""
    known = {alias_of(device) for device in getattr(live.devices, kind)}
    return [each for each in getattr(trial.devices, kind) if alias_of(each) not in known]


def _add_controller(guest: Guest, line: Line, controller: Any) -> None:
    """Plug in a controller that a new device needs; it stays whatever becomes of that."""
    props = command_controllers.controller_device(line, controller)
    if props is not None:
        guest.monitor().command("device_add", props)
    live = guest.live
    assert live is not None and live.devices is not None
    with guest.lock:
        live.devices.controllers.append(controller)
    save_live(guest)


def _adopt(guest: Guest, kind: str, device: Any) -> None:
    """Make a device part of the running guest's model."""
    live = guest.live
    assert live is not None
    from libvirtcore.drivers.qemu.defaults_devices import sort_disks

    getattr(live.devices, kind).append(device)
    if kind == "disks":
        sort_disks(live)


def _after(guest: Guest, kind: str, device: Any) -> None:
    """What can only be said once the device is there."""
    if kind == "disks":
        limits = command_disks.throttle(device)
        if limits is not None:
            guest.monitor().command("block_set_io_throttle", limits | {"id": qdev(device)})
    elif kind == "interfaces" and getattr(device.link, "state", None) == "down":
        guest.monitor().command("set_link", {"name": alias_of(device), "up": False})


# --- their words of a command line ----------------------------------------------------------------


def _disk(line: Line, disk: Any) -> None:
    drive = command_disks.disk_backend(line, disk)
    line.device(command_disks.disk_device(line, disk, drive))


def _interface(line: Line, interface: Any) -> None:
    line.json("-netdev", command_net.netdev(line, interface))
    line.device(command_net.net_device(line, interface))


def _character_device(line: Line, device: Any) -> None:
    command_chardev.backend(line, device, str(alias_of(device)))
    props = command_chardev.chardev_device(line, device)
    if props is None:
        raise unsupported(f"a {word(device)} of this kind cannot be added to a running guest")
    line.device(props)


def _rng(line: Line, rng: Any) -> None:
    kind, name, props = command_devices.rng_object(line, rng)
    line.object(kind, name, props)
    line.device(command_devices.rng_device(line, rng))


def _input(line: Line, device: Any) -> None:
    props = command_devices.input_device(line, device)
    assert props is not None
    line.device(props)


def _controller(line: Line, controller: Any) -> None:
    props = command_controllers.controller_device(line, controller)
    if props is not None:
        line.device(props)


_WORDS = {
    "disks": _disk, "interfaces": _interface, "rngs": _rng, "inputs": _input,
    "controllers": _controller, **dict.fromkeys(_CHARACTER, _character_device),
}  # fmt: skip
