# SPDX-License-Identifier: LGPL-2.1-or-later
"""support.py: models, capabilities and contexts for the tests of the command line.

capabilities.json is what probing Debian's QEMU 7.2 gives, cut down to what a command line asks
for; host_cpu.xml is the host model of the machine on which everything was recorded.
Called by: the tests of this folder. Calls: libvirtcore.conf, libvirtcore.drivers.qemu.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from libvirtcore.conf import PARSE_INACTIVE, Domain
from libvirtcore.drivers.qemu import command, command_native, defaults
from libvirtcore.drivers.qemu.caps import Machine, QemuCaps

HERE = Path(__file__).parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIB = "/var/lib/libvirt/qemu"

_ARM = (
    Machine(
        "virt-7.2",
        alias="virt",
        max_cpus=512,
        hotplug_cpus=True,
        default_ram_id="mach-virt.ram",
        default_cpu="cortex-a15-arm-cpu",
    ),
    Machine("raspi3b", max_cpus=4, default_ram_id="ram"),
    Machine("integratorcp", default_ram_id="integrator.ram", default_cpu="arm926-arm-cpu"),
)


@cache
def capabilities(arch: str = "x86_64") -> QemuCaps:
    x86 = QemuCaps.from_json(json.loads((HERE / "capabilities.json").read_text()))
    if arch == "x86_64":
        return x86
    if arch == "i686":
        machines = tuple(
            dataclasses.replace(machine, default_cpu="qemu32-i386-cpu")
            if machine.default_cpu == "qemu64-x86_64-cpu"
            else machine
            for machine in x86.machines
        )
        path = "/usr/bin/qemu-system-i386"
        return dataclasses.replace(x86, arch=arch, binary=path, machines=machines)
    return dataclasses.replace(x86, arch=arch, binary=f"/usr/bin/qemu-system-{arch}", machines=_ARM)


@cache
def host_cpu() -> Any:
    text = (HERE / "host_cpu.xml").read_text()
    return Domain.parse(
        "<domain type='qemu'><name>host</name><memory>1024</memory>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os>{text}</domain>"
    ).cpu


def minimal(
    devices: str = "", more: str = "", *, machine: str = "pc", name: str = "guest"
) -> Domain:
    """A small complete model with names."""
    from libvirtcore.drivers.qemu.aliases import assign_aliases

    dom = Domain.parse(
        f"<domain type='qemu'><name>{name}</name>"
        "<uuid>aaba00b2-e2cf-4354-b81f-82e7e3eb775e</uuid><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64' machine='{machine}'>hvm</type></os>{more}"
        f"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}</devices></domain>",
        PARSE_INACTIVE,
    )
    defaults.complete(dom, capabilities())
    assign_aliases(dom)
    return dom


def options(built: command.Command, name: str) -> list[str]:
    """The values of an option, in order."""
    return [value for option, value in _pairs(built.argv) if option == name]


def _pairs(argv: list[str]) -> Iterator[tuple[str, str]]:
    return ((argv[place], argv[place + 1]) for place in range(len(argv) - 1))


def devices(built: command.Command) -> dict[str, dict[str, Any]]:
    """The devices of a command by id."""
    found = [json.loads(value) for value in options(built, "-device")]
    return {item.get("id", item["driver"]): item for item in found}


def _capabilities_of(dom: Any) -> QemuCaps:
    return capabilities(dom.os.type.arch or "x86_64")


def native(text: str) -> str:
    """What our domxml-to-native prints for a document."""
    return command_native.convert(
        text,
        _capabilities_of,
        lib=LIB,
        path=PATH,
        host_cpu=host_cpu(),
    )


def started(argv: list[str], env: dict[str, str]) -> command.Context:
    """The context in which the real daemon must have made a command, read off that command."""
    context = command.Context(
        lib_dir=env["HOME"], monitor=-1, path=PATH, host_cpu=host_cpu(), master_key=bytes(32)
    )
    taps: dict[str, list[int | str]] = {}
    sockets: dict[str, int] = {}
    fdsets: dict[str, tuple[int, int]] = {}
    tpm: dict[str, str] = {}
    for option, value in _pairs(argv):
        if option == "-netdev":
            props = json.loads(value)
            if props["type"] == "tap":
                fds = props.get("fds", props.get("fd")).split(":")
                taps[props["id"].removeprefix("host")] = list(fds)
        elif option == "-add-fd":
            found = re.fullmatch(r"set=(\d+),fd=(\d+),opaque=(.*)", value)
            assert found
            fdsets[found[3].removesuffix("-source")] = (int(found[1]), int(found[2]))
        elif option == "-chardev" and (found := re.match(r"socket,id=char(\w+),fd=(\d+)", value)):
            if found[1] == "monitor":
                context.monitor = int(found[2])
            else:
                sockets[found[1]] = int(found[2])
        elif option == "-chardev" and value.startswith("socket,id=chrtpm,path="):
            tpm["tpm0"] = value.removeprefix("socket,id=chrtpm,path=")
    context.taps, context.sockets, context.fdsets, context.tpm = taps, sockets, fdsets, tpm
    return context


def split(log: str) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a command as a guest's log has it."""
    words = shlex.split(log.replace("\\\n", " "))
    env: dict[str, str] = {}
    while "=" in words[0] and not words[0].startswith("/"):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    return words, env
