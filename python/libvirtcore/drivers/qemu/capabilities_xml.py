# SPDX-License-Identifier: LGPL-2.1-or-later
"""capabilities_xml.py: the answer to virConnectGetCapabilities: this host, and what can run on it.

The host's CPU is described by vendor, signature and features; libvirt's catalogue of CPU models is
not consulted, so no `<model>` is named.
Called by: the driver. Calls: capabilities_host.py.
Never: runs QEMU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from libvirtcore.conf.boot import ARCHITECTURES
from libvirtcore.conf.values import escape
from libvirtcore.drivers.qemu import capabilities_host as host
from libvirtcore.drivers.qemu.caps import Machine, QemuCaps

HIDDEN_MACHINES = ("none",)  # no guest can be started on it
SHORT = ("i686", "armv6l", "armv7l", "mips", "mipsel", "ppc", "riscv32", "sparc", "sh4", "m68k")


def capabilities(
    binaries: Iterable[QemuCaps],
    *,
    host_uuid: str,
    labels: Sequence[tuple[str, str]] = (("kvm", "+0:+0"), ("qemu", "+0:+0")),
    root: Path = Path("/"),
) -> str:
    """The document. `labels` are the identities guests run with, by virtualization type."""
    out = ["<capabilities>", "", "  <host>", f"    <uuid>{escape(host_uuid)}</uuid>"]
    _cpu(out, root)
    out.append("    <power_management/>")
    out.append(f"    <iommu support='{'yes' if host.has_iommu(root) else 'no'}'/>")
    out += [
        "    <migration_features>",
        "      <live/>",
        "      <uri_transports>",
        "        <uri_transport>tcp</uri_transport>",
        "        <uri_transport>rdma</uri_transport>",
        "      </uri_transports>",
        "    </migration_features>",
    ]
    _topology(out, root)
    _caches(out, root)
    _security(out, labels)
    out += ["  </host>", ""]
    by_arch = {caps.arch: caps for caps in binaries}
    if "x86_64" in by_arch:
        by_arch.setdefault("i686", by_arch["x86_64"])
    known = [arch for arch in ARCHITECTURES if arch in by_arch]
    native = host.processor(root).arch
    for arch in known:
        _guest(out, arch, by_arch[arch], native)
    out.append("</capabilities>")
    return "\n".join(out) + "\n"


def _cpu(out: list[str], root: Path) -> None:
    cpu = host.processor(root)
    out += ["    <cpu>", f"      <arch>{escape(cpu.arch)}</arch>"]
    if cpu.vendor:
        out.append(f"      <vendor>{cpu.vendor}</vendor>")
    if cpu.microcode:
        out.append(f"      <microcode version='{cpu.microcode}'/>")
    if cpu.family:
        out.append(
            f"      <signature family='{cpu.family}' model='{cpu.model}'"
            f" stepping='{cpu.stepping}'/>"
        )
    if cpu.tsc:
        out.append(f"      <counter name='tsc' frequency='{cpu.tsc}' scaling='no'/>")
    everybody = host.cores(root)
    sockets = {core.socket for core in everybody}
    dies = {(core.socket, core.die) for core in everybody}
    places = {(core.socket, core.die, core.core) for core in everybody}
    if everybody:
        out.append(
            f"      <topology sockets='{len(sockets)}' dies='{len(dies) // len(sockets)}'"
            f" cores='{len(places) // len(dies)}' threads='{len(everybody) // len(places)}'/>"
        )
    if cpu.address_bits:
        out.append(f"      <maxphysaddr mode='emulate' bits='{cpu.address_bits}'/>")
    out += [f"      <feature name='{escape(flag)}'/>" for flag in cpu.flags]
    out += [f"      <pages unit='KiB' size='{size}'/>" for size in host.page_sizes(root)]
    out.append("    </cpu>")


def _topology(out: list[str], root: Path) -> None:
    found = host.nodes(root)
    out += ["    <topology>", f"      <cells num='{len(found)}'>"]
    for node in found:
        out.append(f"        <cell id='{node.id}'>")
        out.append(f"          <memory unit='KiB'>{node.memory}</memory>")
        for size, count in node.pages.items():
            out.append(f"          <pages unit='KiB' size='{size}'>{count}</pages>")
        out.append("          <distances>")
        for other, distance in zip(found, node.distances, strict=False):
            out.append(f"            <sibling id='{other.id}' value='{distance}'/>")
        out += ["          </distances>", f"          <cpus num='{len(node.cores)}'>"]
        for core in node.cores:
            out.append(
                f"            <cpu id='{core.id}' socket_id='{core.socket}' die_id='{core.die}'"
                f" core_id='{core.core}' siblings='{escape(core.siblings)}'/>"
            )
        out += ["          </cpus>", "        </cell>"]
    out += ["      </cells>", "    </topology>"]


def _caches(out: list[str], root: Path) -> None:
    found = host.caches(root)
    if not found:
        return
    out.append("    <cache>")
    for bank in found:
        size, unit = (bank.size // 1024, "MiB") if bank.size % 1024 == 0 else (bank.size, "KiB")
        out.append(
            f"      <bank id='{bank.id}' level='{bank.level}' type='{bank.type}' size='{size}'"
            f" unit='{unit}' cpus='{escape(bank.cpus)}'/>"
        )
    out.append("    </cache>")


def _security(out: list[str], labels: Sequence[tuple[str, str]]) -> None:
    for model in ("none", "dac"):
        out += ["    <secmodel>", f"      <model>{model}</model>", "      <doi>0</doi>"]
        if model == "dac":
            for kind, label in labels:
                out.append(f"      <baselabel type='{kind}'>{escape(label)}</baselabel>")
        out.append("    </secmodel>")


def ordered_machines(caps: QemuCaps) -> list[Machine]:
    """The machine types as libvirt lists them: the default one first."""
    shown = [machine for machine in caps.machines if machine.name not in HIDDEN_MACHINES]
    return sorted(shown, key=lambda machine: not machine.default)


def _guest(out: list[str], arch: str, caps: QemuCaps, native: str) -> None:
    out += [
        "  <guest>",
        "    <os_type>hvm</os_type>",
        f"    <arch name='{arch}'>",
        f"      <wordsize>{32 if arch in SHORT else 64}</wordsize>",
        f"      <emulator>{escape(caps.binary)}</emulator>",
    ]
    for machine in ordered_machines(caps):
        tail = f" maxCpus='{machine.max_cpus}'" if machine.max_cpus else ""
        tail += " deprecated='yes'" if machine.deprecated else ""
        out.append(f"      <machine{tail}>{escape(machine.name)}</machine>")
        if machine.alias:
            out.append(
                f"      <machine canonical='{escape(machine.name)}'{tail}>"
                f"{escape(machine.alias)}</machine>"
            )
    out.append("      <domain type='qemu'/>")
    if caps.kvm and (arch == native or (arch, native) == ("i686", "x86_64")):
        out.append("      <domain type='kvm'/>")
    out += ["    </arch>", "    <features>"]
    if arch == "i686":
        out += ["      <pae/>", "      <nonpae/>"]
    if arch in ("i686", "x86_64", "aarch64"):
        out.append("      <acpi default='on' toggle='yes'/>")
    if arch in ("i686", "x86_64"):
        out.append("      <apic default='on' toggle='no'/>")
    out += [
        "      <cpuselection/>",
        "      <deviceboot/>",
        "      <disksnapshot default='on' toggle='no'/>",
        "    </features>",
        "  </guest>",
        "",
    ]
