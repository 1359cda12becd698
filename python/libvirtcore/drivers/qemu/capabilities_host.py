# SPDX-License-Identifier: LGPL-2.1-or-later
"""capabilities_host.py: what kind of machine this is, from /proc and /sys.

Called by: capabilities_xml.py. Calls: nothing.
Never: fails because a file is missing; it then says less.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

VENDORS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel", "HygonGenuine": "Hygon"}
CACHE_TYPES = {"Unified": "both", "Data": "data", "Instruction": "code"}
SMALLEST_CACHE_LEVEL = 3  # lower ones belong to one core and are not shown
# Kernel names of CPU features that libvirt spells differently; those mapped to "" are not CPUID's.
FEATURES = {
    "pni": "pni", "pclmulqdq": "pclmuldq", "sse4_1": "sse4.1", "sse4_2": "sse4.2",
    "tsc_deadline_timer": "tsc-deadline", "sha_ni": "sha-ni", "avx512_vbmi2": "avx512vbmi2",
    "avx512_vnni": "avx512vnni", "avx512_bitalg": "avx512bitalg",
    "avx512_vpopcntdq": "avx512-vpopcntdq", "avx512_bf16": "avx512-bf16", "nrip_save": "nrip-save",
    "lahf_lm": "lahf_lm", "nopl": "", "constant_tsc": "", "rep_good": "", "tsc_known_freq": "",
    "nonstop_tsc": "", "cpuid": "", "extd_apicid": "", "tsc_reliable": "", "aperfmperf": "",
    "vmmcall": "", "invpcid_single": "", "ibpb": "", "ibrs": "", "stibp": "", "ssbd": "",
}  # fmt: skip


@dataclass(frozen=True)
class Core:
    """A logical processor and its place."""

    id: int
    socket: int
    die: int
    core: int
    siblings: str


@dataclass(frozen=True)
class Node:
    """A NUMA node: memory in KiB, pages by size in KiB, distances, processors."""

    id: int
    memory: int
    pages: dict[int, int]
    distances: list[int]
    cores: list[Core]


@dataclass(frozen=True)
class Bank:
    """A cache that several processors share, in KiB."""

    id: int
    level: int
    type: str
    size: int
    cpus: str


@dataclass(frozen=True)
class Processor:
    """The processors' make."""

    arch: str
    vendor: str = ""
    microcode: int = 0
    family: int = 0
    model: int = 0
    stepping: int = 0
    tsc: int = 0
    address_bits: int = 0
    flags: list[str] = field(default_factory=list)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path, otherwise: int = 0) -> int:
    text = _read(path)
    return int(text) if text.lstrip("-").isdigit() else otherwise


def processor(root: Path = Path("/")) -> Processor:
    """What /proc/cpuinfo says of the first processor."""
    facts: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            break
        facts[name.strip()] = value.strip()

    def number(name: str) -> int:
        try:
            return int(facts.get(name, "0"), 0)
        except ValueError:
            return 0

    flags = facts.get("flags", "").split()
    names = [FEATURES.get(flag, flag) for flag in flags]
    bits = re.match(r"(\d+) bits physical", facts.get("address sizes", ""))
    mhz = facts.get("cpu MHz", "0")
    tsc = round(float(mhz) * 1000) * 1000 if re.fullmatch(r"[\d.]+", mhz) else 0
    return Processor(
        arch=os.uname().machine,
        vendor=VENDORS.get(facts.get("vendor_id", ""), ""),
        microcode=number("microcode"),
        family=number("cpu family"),
        model=number("model"),
        stepping=number("stepping"),
        tsc=tsc if "constant_tsc" in flags else 0,
        address_bits=int(bits[1]) if bits else 0,
        flags=[name for name in names if name],
    )


def cores(root: Path = Path("/")) -> list[Core]:
    """The processors that are online."""
    found = []
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*"):
        place = folder / "topology"
        if not place.is_dir():
            continue
        number = int(folder.name[3:])
        siblings = _read(place / "thread_siblings_list") or str(number)
        die = max(_number(place / "die_id"), 0)
        found.append(
            Core(
                number, max(_number(place / "physical_package_id"), 0), die,
                _number(place / "core_id"), siblings,
            )
        )  # fmt: skip
    return sorted(found, key=lambda core: core.id)


def page_sizes(root: Path = Path("/")) -> list[int]:
    """The sizes of memory pages in KiB."""
    huge = (root / "sys/kernel/mm/hugepages").glob("hugepages-*kB")
    sizes = sorted(int(folder.name[10:-2]) for folder in huge)
    return [os.sysconf("SC_PAGE_SIZE") // 1024, *sizes]


def nodes(root: Path = Path("/")) -> list[Node]:
    """The NUMA nodes; one with everything when the kernel has none."""
    everybody = {core.id: core for core in cores(root)}
    found = []
    for folder in (root / "sys/devices/system/node").glob("node[0-9]*"):
        number = int(folder.name[4:])
        members = [each for each in everybody if (folder / f"cpu{each}").exists()]
        memory = _memory(_read(folder / "meminfo"))
        pages = {}
        taken = 0
        for size in page_sizes(root)[1:]:
            count = _number(folder / f"hugepages/hugepages-{size}kB/nr_hugepages")
            pages[size] = count
            taken += size * count
        small = os.sysconf("SC_PAGE_SIZE") // 1024
        pages = {small: (memory - taken) // small} | pages
        distances = [int(word) for word in _read(folder / "distance").split() if word.isdigit()]
        found.append(
            Node(number, memory, pages, distances, [everybody[each] for each in sorted(members)])
        )
    if not found:
        memory = _memory(_read(root / "proc/meminfo"))
        small = os.sysconf("SC_PAGE_SIZE") // 1024
        found.append(Node(0, memory, {small: memory // small}, [10], list(everybody.values())))
    return sorted(found, key=lambda node: node.id)


def _memory(text: str) -> int:
    match = re.search(r"MemTotal:\s+(\d+) kB", text)
    return int(match[1]) if match else 0


def caches(root: Path = Path("/")) -> list[Bank]:
    """The large caches, each once."""
    found: dict[tuple[int, int, str], Bank] = {}
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level = _number(folder / "level")
        if level < SMALLEST_CACHE_LEVEL:
            continue
        kind = CACHE_TYPES.get(_read(folder / "type"), "both")
        size = _read(folder / "size")
        kib = int(size[:-1]) if size.endswith("K") and size[:-1].isdigit() else 0
        bank = Bank(_number(folder / "id"), level, kind, kib, _read(folder / "shared_cpu_list"))
        found[(level, bank.id, kind)] = bank
    return [found[key] for key in sorted(found)]


def has_iommu(root: Path = Path("/")) -> bool:
    """Whether the kernel groups devices behind an IOMMU."""
    try:
        return any((root / "sys/kernel/iommu_groups").iterdir())
    except OSError:
        return False
