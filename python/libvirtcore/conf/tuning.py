# SPDX-License-Identifier: LGPL-2.1-or-later
"""tuning.py: how much of the host a guest gets: memory, CPUs, block I/O, NUMA, perf, resources.

Called by: domain.py. Calls: schema.py.
Never: writes a cgroup.
"""

from __future__ import annotations

from libvirtcore.conf.cpu import to_kib
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint, required
from libvirtcore.conf.schema import (
    IGNORED,
    Element,
    attribute,
    child,
    children,
    flag,
    leaf,
    text,
)
from libvirtcore.conf.values import (
    CPUSET,
    INT,
    KIB,
    LONG,
    NATURAL,
    STRING,
    UINT,
    UINT_NONZERO,
    ULONG,
    WORD,
    YESNO,
    Choice,
    cpu_list,
)
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_XML,
)


class MaxMemory(Element):
    """How far memory can grow by hotplug, and in how many modules."""

    slots = attribute(UINT, bad=(VIR_ERR_XML_ERROR, "Failed to parse memory slot count"))
    value = text(KIB)


class HugePage(Element):
    """A size of huge pages, for all or some of the guest's NUMA nodes; KiB."""

    size = attribute(
        ULONG,
        missing=(VIR_ERR_XML_ERROR, "missing element or attribute './@size'", VIR_FROM_XML),
        bad=(
            VIR_ERR_XML_ERROR, "Invalid value '%s' for element or attribute './@size'",
            VIR_FROM_XML,
        ),
    )  # fmt: skip
    unit = attribute(STRING)
    nodeset = attribute(CPUSET)

    def parsed(self, node: Node) -> None:
        self.size = to_kib(self.size, self.unit or "KiB", "page")
        self.unit = "KiB"


class HugePages(Element):
    """Huge pages, of the default size unless pages say otherwise."""

    pages = children(HugePage, "page")


class BackingSource(Element):
    """What memory is made of."""

    type = attribute(
        Choice("file", "anonymous", "memfd"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown memoryBacking/source/type '%s'"),
    )


class BackingAccess(Element):
    """Whether others may see the memory."""

    mode = attribute(
        Choice("shared", "private"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown memoryBacking/access/mode '%s'"),
    )


class BackingAllocation(Element):
    """When memory is allocated."""

    mode = attribute(
        Choice("immediate", "ondemand"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown memoryBacking/allocation/mode '%s'"),
    )
    threads = attribute(UINT)


class MemoryBacking(Element):
    """How the host keeps the guest's memory."""

    hugepages = child(HugePages, empty=True)
    nosharepages = flag()
    locked = flag()
    source = child(BackingSource)
    access = child(BackingAccess)
    allocation = child(BackingAllocation)
    discard = flag()


def _limit(name: str) -> tuple[int, str, int]:
    return (
        VIR_ERR_XML_ERROR, f"Invalid value '%s' for element or attribute './memtune/{name}[1]'",
        VIR_FROM_XML,
    )  # fmt: skip


class MemTune(Element):
    """Limits of the guest's process, in KiB."""

    hard_limit = leaf(KIB, bad=_limit("hard_limit"))
    soft_limit = leaf(KIB, bad=_limit("soft_limit"))
    min_guarantee = leaf(KIB, bad=_limit("min_guarantee"))
    swap_hard_limit = leaf(KIB, bad=_limit("swap_hard_limit"))


def _blkio(what: str) -> tuple[int, str]:
    return (VIR_ERR_CONFIG_UNSUPPORTED, f"could not parse {what}")


class BlkioDevice(Element):
    """Weight and limits for one device of the host."""

    path = leaf(STRING, missing=(VIR_ERR_CONFIG_UNSUPPORTED, "missing per-device path"))
    weight = leaf(UINT, bad=_blkio("weight %s"))
    read_iops_sec = leaf(UINT, bad=_blkio("read iops sec %s"))
    write_iops_sec = leaf(UINT, bad=_blkio("write iops sec %s"))
    read_bytes_sec = leaf(ULONG, bad=_blkio("read bytes sec %s"))
    write_bytes_sec = leaf(ULONG, bad=_blkio("write bytes sec %s"))


class BlkioTune(Element):
    """Weight and limits of block I/O."""

    weight = leaf(UINT, bad=IGNORED)
    devices = children(BlkioDevice, "device")


class VcpuState(Element):
    """One virtual CPU: plugged, pluggable, and in which order."""

    id = attribute(UINT, required=True)
    enabled = attribute(YESNO, required=True)
    hotpluggable = attribute(YESNO)
    order = attribute(UINT)


class Vcpus(Element):
    """Virtual CPUs one by one."""

    vcpus = children(VcpuState, "vcpu")


class IoThread(Element):
    """An I/O thread, and the bounds of its pool."""

    id = attribute(UINT_NONZERO, required=True)
    thread_pool_min = attribute(NATURAL)
    thread_pool_max = attribute(NATURAL)


class IoThreadIds(Element):
    """I/O threads one by one."""

    iothreads = children(IoThread, "iothread")

    def parsed(self, node: Node) -> None:
        seen: set[int] = set()
        for thread in self.iothreads:
            if thread.id in seen:
                raise report(
                    VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                    f"duplicate iothread id '{thread.id}' found",
                )  # fmt: skip
            seen.add(thread.id)


class DefaultIoThread(Element):
    """The pool of the main loop."""

    thread_pool_min = attribute(NATURAL)
    thread_pool_max = attribute(NATURAL)


class VcpuPin(Element):
    """The host CPUs one virtual CPU runs on."""

    vcpu = attribute(UINT, required=True)
    cpuset = attribute(CPUSET, missing=(VIR_ERR_INTERNAL_ERROR, "missing cpuset for vcpupin"))


class EmulatorPin(Element):
    """The host CPUs the emulator runs on."""

    cpuset = attribute(CPUSET, missing=(VIR_ERR_INTERNAL_ERROR, "missing cpuset for emulatorpin"))


class IoThreadPin(Element):
    """The host CPUs one I/O thread runs on."""

    iothread = attribute(UINT, required=True)
    cpuset = attribute(CPUSET, missing=(VIR_ERR_INTERNAL_ERROR, "missing cpuset for iothreadpin"))


class Scheduler(Element):
    """The scheduler of some threads."""

    vcpus = attribute(CPUSET)
    iothreads = attribute(CPUSET)
    scheduler = attribute(Choice("batch", "idle", "fifo", "rr"), required=True)
    priority = attribute(INT)

    def parsed(self, node: Node) -> None:
        if self.scheduler in ("batch", "idle"):
            self.priority = None
        elif self.priority is None:
            raise required("priority", node.tag)


class TunedCache(Element):
    """A part of a cache."""

    id = attribute(UINT)
    level = attribute(UINT)
    type = attribute(Choice("both", "code", "data"))
    size = attribute(ULONG)
    unit = attribute(STRING)


class CacheMonitor(Element):
    """A cache monitor."""

    level = attribute(UINT)
    vcpus = attribute(CPUSET)


class CacheTune(Element):
    """Parts of caches for some virtual CPUs."""

    vcpus = attribute(CPUSET)
    caches = children(TunedCache, "cache")
    monitors = children(CacheMonitor, "monitor")


class BandwidthNode(Element):
    """Memory bandwidth on one node, in percent."""

    id = attribute(UINT)
    bandwidth = attribute(UINT)


class VcpusOf(Element):
    """A monitor of some virtual CPUs."""

    vcpus = attribute(CPUSET)


class MemoryTune(Element):
    """Memory bandwidth for some virtual CPUs."""

    vcpus = attribute(CPUSET)
    nodes = children(BandwidthNode, "node")
    monitors = children(VcpusOf, "monitor")


def _period(name: str) -> tuple[int, str]:
    return (VIR_ERR_XML_ERROR, f"can't parse cputune {name} value")


class CpuTune(Element):
    """Shares, quotas, pinning and schedulers."""

    shares = leaf(ULONG, bad=_period("shares"))
    period = leaf(ULONG, bad=_period("period"))
    quota = leaf(LONG, bad=_period("quota"))
    global_period = leaf(ULONG, bad=_period("global period"))
    global_quota = leaf(LONG, bad=_period("global quota"))
    emulator_period = leaf(ULONG, bad=_period("emulator period"))
    emulator_quota = leaf(LONG, bad=_period("emulator quota"))
    iothread_period = leaf(ULONG, bad=_period("iothread period"))
    iothread_quota = leaf(LONG, bad=_period("iothread quota"))
    vcpupins = children(VcpuPin, "vcpupin")
    emulatorpin = child(EmulatorPin)
    iothreadpins = children(IoThreadPin, "iothreadpin")
    vcpuscheds = children(Scheduler, "vcpusched")
    iothreadscheds = children(Scheduler, "iothreadsched")
    emulatorsched = child(Scheduler)
    cachetunes = children(CacheTune, "cachetune")
    memorytunes = children(MemoryTune, "memorytune")

    def parsed(self, node: Node) -> None:
        for field, low, high in _BOUNDS:
            value = getattr(self, field)
            if value is not None and (value >= 0 or low == high) and not low <= value <= high:
                if value <= 0 and "quota" in field:
                    continue
                raise report(
                    VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
                    f"Value of cputune '{field}' must be in range [{low}, {high}]",
                )  # fmt: skip
        pinned: set[int] = set()
        for pin in self.vcpupins:
            if pin.vcpu in pinned:
                raise report(
                    VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN,
                    f"duplicate vcpupin for vcpu '{pin.vcpu}'",
                )  # fmt: skip
            pinned.add(pin.vcpu)
        for name, attr in (("vcpusched", "vcpus"), ("iothreadsched", "iothreads")):
            taken: set[int] = set()
            for entry in getattr(self, f"{name}s"):
                word = getattr(entry, attr)
                if word is None:
                    raise report(
                        VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                        f"Missing attribute '{attr}' in element '{name}'",
                    )  # fmt: skip
                numbers = set(cpu_list(word))
                if taken & numbers:
                    raise complaint((
                        VIR_ERR_XML_DETAIL, f"'{name}' attributes '{attr}' must not overlap",
                    ))  # fmt: skip
                taken |= numbers


_PERIODS = ("period", "global_period", "emulator_period", "iothread_period")
_BOUNDS = (
    *((name, 1000, 1000000) for name in _PERIODS),
    *((name.replace("period", "quota"), 1000, 17592186044415) for name in _PERIODS),
)


class NumaMemory(Element):
    """The host's nodes the guest's memory comes from."""

    mode = attribute(
        Choice("strict", "preferred", "interleave", "restrictive"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported NUMA memory tuning mode '%s'"),
    )
    nodeset = attribute(CPUSET)
    placement = attribute(
        Choice("static", "auto"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported NUMA memory placement mode '%s'"),
    )


class MemNode(Element):
    """The same for one node of the guest."""

    cellid = attribute(UINT, required=True)
    mode = attribute(Choice("strict", "preferred", "interleave", "restrictive"))
    nodeset = attribute(CPUSET)


class NumaTune(Element):
    """Where in the host memory comes from."""

    memory = child(NumaMemory)
    memnodes = children(MemNode, "memnode")


class FibreChannel(Element):
    """The name under which Fibre Channel sees the guest's I/O."""

    appid = attribute(STRING)


class Resource(Element):
    """The part of the host's cgroup tree the guest lives in."""

    partition = leaf(WORD)
    fibrechannel = child(FibreChannel)


class PerfEvent(Element):
    """A counter that is kept for the guest."""

    name = attribute(
        Choice(
            "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references",
            "cache_misses", "branch_instructions", "branch_misses", "bus_cycles",
            "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock",
            "task_clock", "page_faults", "context_switches", "cpu_migrations", "page_faults_min",
            "page_faults_maj", "alignment_faults", "emulation_faults",
        ), required=True
    )  # fmt: skip
    enabled = attribute(YESNO, required=True)


class Perf(Element):
    """Counters."""

    events = children(PerfEvent, "event")


class Enabled(Element):
    """Something that may be switched off."""

    enabled = attribute(YESNO)


class Pm(Element):
    """Whether the guest is offered to sleep."""

    suspend_to_mem = child(Enabled, "suspend-to-mem")
    suspend_to_disk = child(Enabled, "suspend-to-disk")
