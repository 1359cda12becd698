# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_memory.py: the guest's memory: size, backends, huge pages, NUMA nodes, memory devices.

Called by: command.py, attach code (memory_device). Calls: command_line.py.
Never: makes the folders that file backends live in; looks for mounts of hugetlbfs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    alias,
    get,
    internal,
    onoff,
    present,
    unsupported,
)
from libvirtcore.drivers.qemu.command_machine import has_hmat

_POLICIES = {"strict": "bind", "preferred": "preferred", "interleave": "interleave"}
_LEVELS = ("memory", "first-level", "second-level", "third-level")
_UNITS = {"KiB": "K", "B": "", "bytes": "", "MiB": "M", "GiB": "G", "TiB": "T"}


def cells(dom: Any) -> list[Any]:
    """The guest's NUMA nodes."""
    return list(get(dom.cpu, "numa", "cells") or ())


def initial(dom: Any) -> int:
    """Memory at start in KiB: without memory devices, in whole MiB."""
    nodes = cells(dom)
    if nodes:
        return sum(_whole(cell.memory or 0) for cell in nodes)
    plugged = sum(_target_size(memory) for memory in get(dom.devices, "memorys") or ())
    return _whole(max(dom.memory - plugged, 1024))


def _target_size(memory: Any) -> int:
    return int(get(memory, "target", "size") or 0)


def _whole(size: int) -> int:
    return -(-size // 1024) * 1024


def ram_id(line: Line) -> str | None:
    """The name of the backend of all memory, when there is a single one."""
    if cells(line.dom):
        return None
    machine = line.caps.machine(line.machine)
    return (machine.default_ram_id if machine is not None else None) or {
        True: "pc.ram", False: "mach-virt.ram",
    }[line.x86]  # fmt: skip


def memory(line: Line) -> None:
    dom = line.dom
    size = initial(dom)
    most = dom.max_memory
    if most is not None and most.value:
        line.add("-m", f"size={size}k,slots={most.slots or 0},maxmem={most.value}k")
    else:
        line.add("-m", str(size // 1024))
    ram = ram_id(line)
    if ram is not None:
        _, kind, props = _backend(line, ram, size, None, system=True)
        line.object(kind, ram, props)
    locked = bool(get(dom, "memory_backing", "locked"))
    line.add("-overcommit", f"mem-lock={onoff(locked)}")


def _backend(
    line: Line, name: str, size: int, cell: Any, *, system: bool = False, device: Any = None
) -> tuple[bool, str, Props]:
    """(plain, kind, properties) of a memory backend; plain: nothing but its size was asked for."""
    dom = line.dom
    backing = dom.memory_backing
    source = get(backing, "source", "type")
    model = get(device, "model")
    share = get(device, "access") or get(cell, "mem_access") or get(backing, "access", "mode")
    discard = get(device, "discard")
    if discard is None:
        discard = get(cell, "discard")
    if discard is None and get(backing, "discard"):
        discard = True
    path = get(device, "source", "path")
    node = get(cell, "id")
    pages = None if path else _page_size(line, node, device)
    in_file = share is not None or source == "file"
    props: Props = {}
    if source == "memfd" and not path:
        kind = "memory-backend-memfd"
        if pages:
            props.update(hugetlb=True, hugetlbsize=pages << 10)
    elif pages or path or in_file:
        kind = "memory-backend-file"
        if path:
            props["mem-path"] = path
        elif pages:
            props["mem-path"] = _hugepage_dir(line, pages)
        else:
            props["mem-path"] = os.path.join(_ram_dir(line), alias(device) if device else name)
        if discard is not None:
            props["discard-data"] = discard
    else:
        kind = "memory-backend-ram"
    if share is not None:
        props["share"] = share == "shared"
    if system and kind != "memory-backend-ram":
        props["x-use-canonical-path-for-ramblock-id"] = False
    props.update(_preallocation(line, backing, bool(pages), model))
    props["size"] = size << 10
    align = get(device, "source", "alignsize")
    if align:
        props["align"] = align << 10
    if get(device, "source", "pmem"):
        props["pmem"] = True
    bound = _binding(line, node, get(device, "source", "nodemask"))
    props.update(bound)
    return kind == "memory-backend-ram" and not bound, kind, props


def _preallocation(line: Line, backing: Any, huge: bool, model: str | None) -> Props:
    if model == "virtio-mem":
        return {"reserve": False}
    wanted = get(backing, "allocation", "mode") == "immediate" or huge or model == "nvdimm"
    if not wanted:
        return {}
    return {"prealloc": True,
            **present({"prealloc-threads": get(backing, "allocation", "threads")})}  # fmt: skip


def _ram_dir(line: Line) -> str:
    """The folder of memory kept in files, beside the folder of the guest."""
    if line.ctx.ram_dir is not None:
        return line.ctx.ram_dir
    base, name = os.path.split(line.ctx.lib_dir.rstrip("/"))
    return os.path.join(base, "ram", name.removeprefix("domain-"))


def file_folder(line: Line) -> str | None:
    """The folder that must be there before a guest with memory in files starts."""
    folder = _ram_dir(line)
    built = [_backend(line, "", 0, cell) for cell in cells(line.dom) or [None]]
    for device in get(line.dom.devices, "memorys") or ():
        built.append(_backend(line, "", 0, None, device=device))
    paths = [str(props.get("mem-path", "")) for _, _, props in built]
    return folder if any(path.startswith(f"{folder}/") for path in paths) else None


def _page_size(line: Line, node: int | None, device: Any) -> int | None:
    """The size in KiB of the huge pages under one node's memory; None for ordinary pages."""
    stated = get(device, "source", "pagesize")
    if stated:
        return int(stated)
    huge = get(line.dom, "memory_backing", "hugepages")
    if huge is None:
        return None
    general = None
    for page in huge.pages:
        size = _kib(page.size, page.unit)
        if page.nodeset is None:
            general = general or size
        elif node is not None and node in numbers(page.nodeset):
            return size
        elif node is None and not cells(line.dom):
            general = general or size
    if not huge.pages:
        if not line.ctx.hugepage_dirs:
            raise internal(
                "hugetlbfs filesystem is not mounted or disabled by administrator config"
            )
        return next(iter(line.ctx.hugepage_dirs))
    return general


def _kib(size: int, unit: str | None) -> int:
    factors = {"KiB": 1, "k": 1, "MiB": 1024, "M": 1024, "GiB": 1 << 20, "G": 1 << 20}
    return size * factors.get(unit or "KiB", 1)


def _hugepage_dir(line: Line, size: int) -> str:
    folder = line.ctx.hugepage_dirs.get(size)
    if not line.ctx.hugepage_dirs:
        raise internal("hugetlbfs filesystem is not mounted or disabled by administrator config")
    if folder is None:
        raise internal(f"Unable to find any usable hugetlbfs mount for {size} KiB")
    return folder


def _binding(line: Line, node: int | None, nodeset: str | None) -> Props:
    """On which of the host's nodes memory is, for a backend."""
    tune = line.dom.numatune
    mode = get(tune, "memory", "mode")
    nodes = get(tune, "memory", "nodeset")
    if get(tune, "memory", "placement") == "auto":
        nodes = line.ctx.numad
    for item in get(tune, "memnodes") or ():
        if node is not None and item.cellid == node:
            mode, nodes = item.mode or mode, item.nodeset
    if nodeset:
        nodes, mode = nodeset, mode or "strict"
    if not nodes or mode == "restrictive":
        return {}
    return {"host-nodes": numbers(nodes), "policy": _POLICIES[mode or "strict"]}


def numbers(text: str) -> list[int]:
    """The numbers of a set such as `0-3,^2,8`."""
    found: set[int] = set()
    for part in text.split(","):
        part = part.strip()
        away = part.startswith("^")
        low, _, high = part.removeprefix("^").partition("-")
        span = set(range(int(low), int(high or low) + 1))
        found = found - span if away else found | span
    return sorted(found)


def spans(found: Iterable[int]) -> list[str]:
    """The runs in sorted numbers: [0, 1, 2, 5] → 0-2, 5."""
    runs: list[list[int]] = []
    for number in found:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [str(low) if low == high else f"{low}-{high}" for low, high in runs]


# --- NUMA -----------------------------------------------------------------------------------------


def numa(line: Line) -> None:
    nodes = cells(line.dom)
    hmat = has_hmat(line.dom)
    first = next((cell.id for cell in nodes if cell.cpus), 0)
    for cell in nodes:
        words = ["node", f"nodeid={cell.id}"]
        words += [f"cpus={span}" for span in spans(numbers(cell.cpus))] if cell.cpus else []
        if hmat:
            words.append(f"initiator={cell.id if cell.cpus else _initiator(line, cell, first)}")
        if cell.memory:
            name = f"ram-node{cell.id}"
            _, kind, props = _backend(line, name, _whole(cell.memory), cell)
            line.object(kind, name, props)
            words.append(f"memdev={name}")
        line.add("-numa", ",".join(words))
    _distances(line, nodes)
    if hmat:
        _hmat(line, nodes)


def _initiator(line: Line, cell: Any, first: int) -> int:
    """The node with CPUs that is nearest to a node without."""
    for link in get(line.dom.cpu, "numa", "interconnects", "latencys") or ():
        if link.target == cell.id and link.initiator is not None:
            return int(link.initiator)
    return first


def _distances(line: Line, nodes: list[Any]) -> None:
    said = {
        (cell.id, sibling.id): sibling.value
        for cell in nodes
        for sibling in get(cell, "distances", "siblings") or ()
    }
    if not said:
        return
    for here in nodes:
        for there in nodes:
            pair = (here.id, there.id)
            value = said.get(pair, said.get(pair[::-1], 10 if here is there else 20))
            line.add("-numa", f"dist,src={here.id},dst={there.id},val={value}")


def _hmat(line: Line, nodes: list[Any]) -> None:
    links = get(line.dom.cpu, "numa", "interconnects")
    for kind in ("latency", "bandwidth"):
        for link in get(links, f"{kind}s") or ():
            value = str(link.value)
            if kind == "bandwidth":
                value += _UNITS.get(link.unit or "KiB", "K")
            line.add("-numa", ",".join([
                "hmat-lb", f"initiator={link.initiator}", f"target={link.target}",
                f"hierarchy={_LEVELS[link.cache or 0]}", f"data-type={link.type}-{kind}",
                f"{kind}={value}",
            ]))  # fmt: skip
    for cell in nodes:
        for cache in cell.caches:
            policy = {"writeback": "write-back", "writethrough": "write-through"}
            size, row = cache.size, cache.line
            line.add("-numa", ",".join([
                "hmat-cache", f"node-id={cell.id}",
                f"size={size.value}{_UNITS.get(size.unit or 'KiB', 'K')}", f"level={cache.level}",
                f"associativity={cache.associativity}",
                f"policy={policy.get(cache.policy, cache.policy)}",
                f"line={row.value}{_UNITS.get(row.unit or 'B', '')}",
            ]))  # fmt: skip


# --- memory devices -------------------------------------------------------------------------------


def memory_backend(line: Line, device: Any) -> tuple[str, str, Props]:
    """(kind, id, properties) of the object behind a memory device."""
    cell = next((c for c in cells(line.dom) if c.id == get(device, "target", "node")), None)
    name = f"mem{alias(device)}"
    size = _target_size(device)
    if get(device, "target", "label", "size") and device.model != "nvdimm":
        raise unsupported("label size is valid only for NVDIMM devices")
    _, kind, props = _backend(line, name, size, cell, device=device)
    return kind, name, props


def memory_device(line: Line, device: Any) -> Props:
    """The properties of a memory device."""
    target = device.target
    drivers = {"dimm": "pc-dimm", "nvdimm": "nvdimm", "virtio-mem": "virtio-mem",
               "virtio-pmem": "virtio-pmem"}  # fmt: skip
    driver = drivers.get(device.model)
    if driver is None:
        raise unsupported(f"memory device model '{device.model}' is not supported")
    props: Props = {"driver": driver}
    if driver.startswith("virtio"):
        props = line.virtio(driver, device)
    node = get(target, "node")
    if node is not None:
        props["node"] = node
    label = get(target, "label", "size")
    if label:
        props["label-size"] = label << 10
    if get(target, "block"):
        props["block-size"] = target.block << 10
    if get(target, "requested") is not None:
        props["requested-size"] = target.requested << 10
    uuid = get(device, "uuid")
    if uuid:
        props["uuid"] = uuid
    if get(target, "readonly"):
        props["unarmed"] = True
    props.update(memdev=f"mem{alias(device)}", id=alias(device), **line.address(device))
    return props


def memory_devices(line: Line) -> None:
    for device in get(line.dom.devices, "memorys") or ():
        kind, name, props = memory_backend(line, device)
        line.object(kind, name, props)
        line.device(memory_device(line, device))
