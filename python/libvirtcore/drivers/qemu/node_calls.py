# SPDX-License-Identifier: LGPL-2.1-or-later
"""node_calls.py: the machine: processors, memory, their use.

Called by: drivers.qemu.host_calls (mixin). Calls: capabilities_host, /proc, /sys.
Never: needs a guest.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from libvirtcore.drivers.qemu import capabilities_host as machine
from libvirtcore.drivers.qemu.guest import check_flags
from libvirtcore.errors import invalid_argument, report
from libvirtcore.generated import constants as c

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CPU = Path("/sys/devices/system/cpu")
_NODES = Path("/sys/devices/system/node")
_MEMORY: tuple[tuple[str, str], ...] = (
    ("total", "MemTotal"),
    ("free", "MemFree"),
    ("buffers", "Buffers"),
    ("cached", "Cached"),
)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def cpu_set(text: str) -> set[int]:
    """The numbers of "0-3,7"."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found.update(range(int(first), int(last or first) + 1))
    return found


def bitmap(numbers: set[int], bits: int) -> bytes:
    """Numbers as the bits of bytes, the lowest first."""
    data = bytearray((bits + 7) // 8)
    for number in numbers:
        if number < bits:
            data[number // 8] |= 1 << number % 8
    return bytes(data)


def _meminfo(text: str) -> dict[str, int]:
    """KiB by name; a node's file has its name before each line."""
    return {name: int(value) for name, value in re.findall(r"(\w+):\s+(\d+) kB", text)}


class NodeCalls:
    """The calls about the node."""

    def node_get_info(self) -> tuple[bytes, int, int, int, int, int, int, int]:
        cores = machine.cores()
        nodes = machine.nodes()
        memory = _meminfo(_read(Path("/proc/meminfo"))).get("MemTotal", 0)
        speed = re.search(r"cpu MHz\s*:\s*(\d+)", _read(Path("/proc/cpuinfo")))
        sockets = len({core.socket for core in cores}) or 1
        per_socket = len({(core.socket, core.die, core.core) for core in cores}) // sockets or 1
        threads = max(1, len(cores) // (sockets * per_socket))
        model = os.uname().machine.encode()[:31]
        in_node = max(1, sockets // max(1, len(nodes)))
        count = len(nodes) or 1
        if count * in_node * per_socket * threads != len(cores):
            count, in_node, per_socket, threads = 1, 1, len(cores), 1
        mhz = int(speed[1]) if speed else 0
        return (model, memory, len(cores), mhz, count, in_node, per_socket, threads)

    def node_get_free_memory(self) -> int:
        return _meminfo(_read(Path("/proc/meminfo"))).get("MemFree", 0) * 1024

    def node_get_cells_free_memory(self, startCell: int, maxCells: int) -> list[int]:
        cells = [node.id for node in machine.nodes()]
        wanted = [cell for cell in cells if cell >= startCell][: max(0, maxCells)]
        if startCell < 0 or not wanted:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_NONE,
                f"start cell {startCell} out of range (0-{max(cells, default=0)})",
            )
        return [self._cell(cell).get("MemFree", 0) * 1024 for cell in wanted]

    def _cell(self, number: int) -> dict[str, int]:
        text = _read(_NODES / f"node{number}" / "meminfo")
        return _meminfo(text or _read(Path("/proc/meminfo")))

    def node_get_free_pages(
        self, pages: list[int], startCell: int, maxCells: int, flags: int
    ) -> list[int]:
        """Free pages of each size (KiB), cell by cell."""
        check_flags("qemuNodeGetFreePages", flags, 0)
        cells = [node.id for node in machine.nodes()]
        if not startCell <= max(cells, default=0):
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_NONE,
                f"start cell {startCell} out of range (0-{max(cells, default=0)})",
            )
        wanted = [cell for cell in cells if cell >= startCell][: max(0, maxCells)]
        return [self._free_pages(cell, size) for cell in wanted for size in pages]

    def _free_pages(self, cell: int, size: int) -> int:
        if size == os.sysconf("SC_PAGE_SIZE") >> 10:
            return self._cell(cell).get("MemFree", 0) // size
        text = _read(
            _NODES / f"node{cell}" / "hugepages" / f"hugepages-{size}kB" / "free_hugepages"
        )
        if not text.strip().isdigit():
            raise report(
                c.VIR_ERR_OPERATION_FAILED,
                c.VIR_FROM_NONE,
                f"page size {size} is not available on node {cell}",
            )
        return int(text)

    def node_get_cpu_map(
        self, need_map: int, need_online: int, flags: int
    ) -> tuple[bytes, int, int]:
        check_flags("qemuNodeGetCPUMap", flags, 0)
        present = cpu_set(_read(_CPU / "present")) or set(range(os.cpu_count() or 1))
        online = cpu_set(_read(_CPU / "online")) or present
        count = max(present) + 1
        return (bitmap(online, count) if need_map else b"", len(online), count)

    def node_get_cpu_stats(
        self, cpuNum: int, nparams: int, flags: int
    ) -> tuple[list[tuple[str, int]], int]:
        check_flags("virHostCPUGetStats", flags, 0)
        if nparams == 0:
            return [], 4
        wanted = "cpu" if cpuNum == -1 else f"cpu{cpuNum}"
        for line in _read(Path("/proc/stat")).splitlines():
            name, *numbers = line.split()
            if name == wanted:
                break
        else:
            raise invalid_argument(
                "virHostCPUGetStatsLinux",
                "cpuNum",
                "Invalid cpuNum in virHostCPUGetStatsLinux",
                c.VIR_FROM_NONE,
            )
        user, nice, system, idle, wait, irq, soft = (int(number) for number in numbers[:7])
        stats = [
            ("kernel", (system + irq + soft) * _TICK),
            ("user", (user + nice) * _TICK),
            ("idle", idle * _TICK),
            ("iowait", wait * _TICK),
        ]
        return stats[:nparams], len(stats)

    def node_get_memory_stats(
        self, nparams: int, cellNum: int, flags: int
    ) -> tuple[list[tuple[str, int]], int]:
        check_flags("virHostMemGetStats", flags, 0)
        if cellNum == -1:
            facts, names = _meminfo(_read(Path("/proc/meminfo"))), _MEMORY
        else:
            if cellNum not in [node.id for node in machine.nodes()]:
                raise report(
                    c.VIR_ERR_INVALID_ARG,
                    c.VIR_FROM_NONE,
                    f"cellNum in virHostMemGetStats must be less than or equal to "
                    f"{max(node.id for node in machine.nodes())}",
                )
            facts, names = self._cell(cellNum), _MEMORY[:2]
        stats = [(name, facts.get(key, 0)) for name, key in names]
        return ([], len(stats)) if nparams == 0 else (stats[:nparams], len(stats))

    def node_get_security_model(self) -> tuple[bytes, bytes]:
        return (b"none\0", b"0\0")
