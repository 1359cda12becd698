# SPDX-License-Identifier: LGPL-2.1-or-later
"""cpu.py: the CPU a guest sees: model, features, topology, caches, NUMA nodes.

Called by: domain.py, capabilities. Calls: schema.py.
Never: compares CPUs.
"""

from __future__ import annotations

from libvirtcore.conf.nodes import Node
from libvirtcore.conf.schema import Element, attribute, child, children, text
from libvirtcore.conf.values import (
    INT,
    NATURAL,
    STRING,
    UINT,
    UINT_NONZERO,
    ULONG,
    YESNO,
    Choice,
    cpu_list,
    format_cpu_list,
    scale,
)
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_XML_ERROR,
    VIR_FROM_CPU,
    VIR_FROM_DOMAIN,
    VIR_FROM_XML,
)

LOCAL_DISTANCE = 10


class CpuModel(Element):
    """The name of a CPU model."""

    fallback = attribute(
        Choice("allow", "forbid"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Invalid fallback attribute", VIR_FROM_CPU),
    )
    vendor_id = attribute(STRING)
    value = text(STRING)

    def parsed(self, node: Node) -> None:
        if self.vendor_id is not None and len(self.vendor_id) != 12:
            raise _cpu_error(VIR_ERR_XML_ERROR, "vendor_id must be exactly 12 characters long")


class Topology(Element):
    """How virtual CPUs are arranged."""

    sockets = attribute(UINT_NONZERO, required=True)
    dies = attribute(UINT_NONZERO)
    cores = attribute(UINT_NONZERO, required=True)
    threads = attribute(UINT_NONZERO, required=True)

    def parsed(self, node: Node) -> None:
        if self.dies is None:
            self.dies = 1


class CpuCache(Element):
    """What the guest is told about a cache."""

    level = attribute(INT)
    mode = attribute(Choice("emulate", "passthrough", "disable"), required=True)


class MaxPhysAddr(Element):
    """How wide physical addresses are."""

    mode = attribute(Choice("emulate", "passthrough"), required=True)
    bits = attribute(NATURAL)


class CpuFeature(Element):
    """A feature the CPU must, may or must not have."""

    policy = attribute(
        Choice("force", "require", "optional", "disable", "forbid"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Invalid CPU feature policy", VIR_FROM_CPU),
    )
    name = attribute(STRING)

    def parsed(self, node: Node) -> None:
        if not self.name:
            raise _cpu_error(VIR_ERR_XML_ERROR, "Invalid CPU feature name")
        if self.policy is None:
            self.policy = "require"


class Sibling(Element):
    """The distance to another node."""

    id = attribute(UINT, required=True)
    value = attribute(UINT, required=True)


class Distances(Element):
    """The distances to other nodes."""

    siblings = children(Sibling, "sibling")


class SizeValue(Element):
    """A size with its unit, as stated."""

    value = attribute(ULONG)
    unit = attribute(STRING)


class NumaCache(Element):
    """A memory-side cache of a node."""

    level = attribute(UINT)
    associativity = attribute(Choice("none", "direct", "full"))
    policy = attribute(Choice("none", "writeback", "writethrough"))
    size = child(SizeValue)
    line = child(SizeValue)


class Cell(Element):
    """A NUMA node of the guest; memory in KiB."""

    id = attribute(UINT)
    cpus = attribute(STRING)
    memory = attribute(ULONG)
    unit = attribute(STRING)
    mem_access = attribute(Choice("shared", "private"), "memAccess")
    discard = attribute(YESNO)
    distances = child(Distances)
    caches = children(NumaCache, "cache")

    def parsed(self, node: Node) -> None:
        if self.memory is None:
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_XML, "missing element or attribute './@memory'"
            )
        if self.cpus is not None:
            self.cpus = format_cpu_list(cpu_list(self.cpus))
        if self.memory is not None:
            self.memory = to_kib(self.memory, self.unit or "KiB", "memory")
            self.unit = "KiB"


class Link(Element):
    """Latency or bandwidth between nodes."""

    initiator = attribute(UINT)
    target = attribute(UINT)
    cache = attribute(UINT)
    type = attribute(Choice("access", "read", "write"))
    value = attribute(ULONG)
    unit = attribute(STRING)


class Interconnects(Element):
    """What is known about the ways between nodes."""

    latencys = children(Link, "latency")
    bandwidths = children(Link, "bandwidth")


class Numa(Element):
    """The NUMA nodes of the guest."""

    cells = children(Cell, "cell")
    interconnects = child(Interconnects)

    def parsed(self, node: Node) -> None:
        seen: dict[int, int] = {}
        for place, cell in enumerate(self.cells):
            if cell.id is None:
                cell.id = place
            if cell.id >= len(self.cells):
                raise domain_error(
                    "Exactly one 'cell' element per guest NUMA cell allowed, non-contiguous ranges"
                    " or ranges not starting from 0 are not allowed"
                )
            if cell.id in seen.values():
                raise domain_error(f"Duplicate NUMA cell info for cell id '{cell.id}'")
            seen[place] = cell.id
        used: dict[int, int] = {}
        for cell in self.cells:
            for cpu in cpu_list(cell.cpus) if cell.cpus else ():
                if cpu in used:
                    raise report(
                        VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
                        f"NUMA cells {cell.id} and {used[cpu]} have overlapping vCPU ids",
                    )  # fmt: skip
                used[cpu] = cell.id or 0
        self.cells.sort(key=lambda cell: cell.id or 0)
        if any(cell.distances is not None and cell.distances.siblings for cell in self.cells):
            self._mirror_distances()

    def _mirror_distances(self) -> None:
        """A distance counts both ways unless the way back has its own; one's own is 10."""
        table: dict[int, dict[int, int]] = {}
        for cell in self.cells:
            here = cell.id or 0
            for sibling in cell.distances.siblings if cell.distances is not None else ():
                table.setdefault(here, {})[sibling.id] = sibling.value
        for here, row in list(table.items()):
            for there, value in list(row.items()):
                table.setdefault(there, {}).setdefault(here, value)
                table[here].setdefault(here, LOCAL_DISTANCE)
                table[there].setdefault(there, LOCAL_DISTANCE)
        for cell in self.cells:
            known = table.get(cell.id or 0)
            if known is not None:
                cell.distances = Distances(
                    siblings=[Sibling(id=there, value=known[there]) for there in sorted(known)]
                )


class Cpu(Element):
    """The CPU of the guest."""

    mode = attribute(
        Choice("custom", "host-model", "host-passthrough", "maximum"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Invalid mode attribute '%s'", VIR_FROM_CPU),
    )
    match = attribute(Choice("minimum", "exact", "strict"))
    check = attribute(Choice("none", "partial", "full"))
    migratable = attribute(Choice("on", "off"))
    model = child(CpuModel)
    vendor = child(CpuModel)
    topology = child(Topology)
    cache = child(CpuCache)
    maxphysaddr = child(MaxPhysAddr)
    features = children(CpuFeature, "feature")
    numa = child(Numa)

    def parsed(self, node: Node) -> None:
        named = self.model is not None and bool(self.model.value)
        if self.mode is None and named:
            self.mode = "custom"
        if not named:
            self.model = None
            if self.mode == "custom":
                self.mode = self.match = None
        if self.mode == "custom" and self.match is None:
            self.match = "exact"
        if named and self.model is not None and self.model.fallback is None:
            self.model.fallback = "allow"
        names: set[str | None] = set()
        for feature in self.features:
            if feature.name in names:
                raise _cpu_error(
                    VIR_ERR_XML_ERROR, f"CPU feature '{feature.name}' specified more than once"
                )
            names.add(feature.name)
        if self.features and not named and self.mode in (None, "custom"):
            raise _cpu_error(
                VIR_ERR_XML_ERROR, "Non-empty feature list specified without CPU model"
            )


def to_kib(value: int, unit: str, name: str) -> int:
    """A size in KiB, rounded up."""
    factor = scale(unit, 1024)
    if factor is None:
        raise report(VIR_ERR_XML_ERROR, VIR_FROM_XML, f"unknown suffix '{unit}' of {name}")
    return -(-value * factor // 1024)


def domain_error(message: str) -> VirError:
    """An XML error of the domain room."""
    return report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, message)


def _cpu_error(code: int, message: str) -> VirError:
    return report(code, VIR_FROM_CPU, message)
