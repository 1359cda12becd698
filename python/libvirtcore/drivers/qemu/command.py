# SPDX-License-Identifier: LGPL-2.1-or-later
"""command.py: a complete definition → the arguments and the environment of its QEMU.

`build` wants a model with addresses and aliases (defaults.complete, addresses, aliases); parts are
put on the line in the order libvirt has them, for the guest sees some of that order.
Called by: drivers.qemu.command_context, command_native.py. Calls: every command_*.py.
Never: starts QEMU, opens files, changes the model but for the numbers of its images.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu import (
    command_chardev,
    command_controllers,
    command_cpu,
    command_devices,
    command_disks,
    command_graphics,
    command_hostdev,
    command_machine,
    command_memory,
    command_net,
    command_secrets,
    command_storage,
)
from libvirtcore.drivers.qemu.command_line import Command, Context, Line, comma, get, internal

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.caps import QemuCaps

__all__ = ["Command", "Context", "build", "memory_folder", "prepare"]

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_DEPRECATED = {"omit": "accept", "reject": "reject", "crash": "crash"}


def prepare(dom: Domain, caps: QemuCaps, ctx: Context) -> Line:
    """A line for one device of a model, as attaching to a running guest needs it."""
    line = Line(dom, caps, ctx)
    command_storage.number_nodes(line)
    return line


def memory_folder(dom: Domain, caps: QemuCaps, ctx: Context) -> str | None:
    """The folder of the files a guest's memory is in, which somebody must make before the start."""
    return command_memory.file_folder(Line(dom, caps, ctx))


def build(dom: Domain, caps: QemuCaps, ctx: Context) -> Command:
    """The command of a guest. Raises: VirError when QEMU or we cannot do what is asked."""
    line = prepare(dom, caps, ctx)
    emulator = line.dom.devices.emulator
    if not emulator:
        raise internal("the domain has no emulator")
    _environment(line)
    _machine(line)
    _devices(line)
    _end(line)
    return Command([emulator, *line.argv], line.env)


def _environment(line: Line) -> None:
    ctx = line.ctx
    path = ctx.path or os.environ.get("PATH") or "/usr/local/bin:/usr/bin:/bin"
    line.env.update({
        "LC_ALL": "C",
        "PATH": path,
        "HOME": ctx.lib_dir,
        "XDG_DATA_HOME": f"{ctx.lib_dir}/.local/share",
        "XDG_CACHE_HOME": f"{ctx.lib_dir}/.cache",
        "XDG_CONFIG_HOME": f"{ctx.lib_dir}/.config",
    })  # fmt: skip


def _machine(line: Line) -> None:
    command_machine.boot_order(line)
    name = comma(line.dom.name)
    process = f",process=qemu:{name}" if line.ctx.process_name else ""
    line.add("-name", f"guest={name}{process},debug-threads=on")
    behavior = get(line.dom, "qemu_deprecation", "behavior") or line.ctx.deprecation
    if behavior in _DEPRECATED:
        line.json("-compat", {"deprecated-output": "hide",
                              "deprecated-input": _DEPRECATED[behavior]})  # fmt: skip
    line.add("-S")
    command_secrets.master_key(line)
    flash = command_machine.pflash(line)
    command_machine.machine(line, flash, command_memory.ram_id(line))
    command_machine.accelerator(line)
    command_machine.tseg(line)
    command_cpu.cpu(line)
    command_machine.firmware(line)
    command_memory.memory(line)
    command_cpu.smp(line)
    command_cpu.iothreads(line)
    command_memory.numa(line)
    line.add("-uuid", line.dom.uuid)
    command_machine.generation_id(line)
    command_machine.smbios(line)
    command_machine.firmware_config(line)
    command_graphics.no_display(line)
    line.add("-no-user-config", "-nodefaults")
    command_chardev.monitor(line)
    command_machine.clock(line)
    command_machine.power(line)
    command_machine.boot(line)


def _devices(line: Line) -> None:
    command_controllers.iommu(line)
    command_controllers.global_controllers(line)
    command_controllers.controllers(line)
    command_memory.memory_devices(line)
    command_devices.hubs(line)
    command_disks.disks(line)
    command_devices.filesystems(line)
    command_net.interfaces(line)
    command_devices.smartcards(line)
    command_chardev.serials(line)
    command_chardev.parallels(line)
    command_chardev.channels(line)
    command_chardev.consoles(line)
    command_devices.tpms(line)
    command_devices.inputs(line)
    command_graphics.audios(line)
    command_graphics.graphics(line)
    command_graphics.videos(line)
    command_graphics.sounds(line)
    command_devices.watchdogs(line)
    command_hostdev.redirdevs(line)
    command_hostdev.hostdevs(line)
    if line.ctx.incoming:
        line.add("-incoming", line.ctx.incoming)
    command_devices.balloon(line)
    command_devices.rngs(line)
    command_devices.memory_dump_info(line)


def _end(line: Line) -> None:
    extra = line.dom.qemu_commandline
    for item in get(extra, "args") or ():
        line.add(item.value or "")
    for item in get(extra, "envs") or ():
        line.env[item.name] = item.value or ""
    if line.ctx.sandbox:
        line.add("-sandbox", _SANDBOX)
    command_devices.panics(line)
    command_devices.shmems(line)
    command_devices.vsock(line)
    if line.ctx.timestamps:
        line.add("-msg", "timestamp=on")
