# SPDX-License-Identifier: LGPL-2.1-or-later
"""shapes.py: what a driver returns, made into what libvirt-python's C module returns.

A driver gives the fields of the reply; where a procedure also sends a count, it comes as the last
field and is dropped here. Nothing is cut or invented: a list is as long as the driver's.
Called by: generated.api_table, libvirtcore.api.
Never: calls a driver.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Tags of memory statistics by number, VIR_DOMAIN_MEMORY_STAT_….
MEMORY_STATS = (
    "swap_in",
    "swap_out",
    "major_fault",
    "minor_fault",
    "unused",
    "available",
    "actual",
    "rss",
    "usable",
    "last_update",
    "disk_caches",
    "hugetlb_pgalloc",
    "hugetlb_pgfail",
)


def as_list(value: tuple[Any, ...]) -> list[Any]:
    return list(value)


def names(value: Any) -> list[str]:
    return list(value[0]) if isinstance(value, tuple) else list(value)


def objects(value: Any) -> list[Any]:
    """Handles, with or without their count."""
    return list(value[0]) if isinstance(value, tuple) else list(value)


def first(value: list[int]) -> int:
    return value[0]


def params(value: Any) -> dict[str, Any]:
    """Typed parameters, with or without their count; of equal names the last one counts."""
    if isinstance(value, tuple):
        value = value[0]
    if isinstance(value, dict):
        return value
    return {name: item for name, _type, item in value}


def stats(value: tuple[list[tuple[str, int]], int]) -> dict[str, int]:
    return dict(value[0])


def text_of(chars: bytes) -> str:
    """Text from a char array: up to the first NUL."""
    return chars.partition(b"\0")[0].decode("utf-8", "replace")


# --- domains --------------------------------------------------------------------------------------


def block_info(value: tuple[int, int, int]) -> list[int]:
    """[capacity, allocation, physical]; the wire has the first two the other way round."""
    allocation, capacity, physical = value
    return [capacity, allocation, physical]


def block_job_info(value: tuple[int, int, int, int, int]) -> dict[str, int]:
    """The running job, {} when there is none."""
    found, type, bandwidth, cur, end = value
    return {"type": type, "bandwidth": bandwidth, "cur": cur, "end": end} if found else {}


def disk_errors(value: tuple[list[tuple[str, int]], int]) -> dict[str, int]:
    return dict(value[0])


def fs_info(value: tuple[list[tuple[str, str, str, list[str]]], int]) -> list[tuple[Any, ...]]:
    return [tuple(item) for item in value[0]]


def guest_time(value: tuple[int, int]) -> dict[str, int]:
    return {"seconds": value[0], "nseconds": value[1]}


def interface_addresses(value: list[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "addrs": [
                {"addr": addr, "prefix": prefix, "type": type} for type, addr, prefix in addrs
            ]
            or None,
            "hwaddr": hwaddr,
        }
        for name, hwaddr, addrs in value
    }


def job_stats(value: tuple[int, Any]) -> dict[str, Any]:
    type, fields = value
    return {**params(fields), "type": type}


def memory_stats(value: list[tuple[int, int]]) -> dict[str, int]:
    """Statistics by name; tags that have no name yet are skipped."""
    return {MEMORY_STATS[tag]: item for tag, item in value if 0 <= tag < len(MEMORY_STATS)}


def security_label(value: tuple[bytes, int]) -> list[str | bool]:
    label, enforcing = value
    return [text_of(label), bool(enforcing)]


def security_label_list(value: tuple[list[tuple[bytes, int]], int]) -> list[list[str | bool]]:
    return [security_label(label) for label in value[0]]


def domain_stats(value: list[tuple[Any, Any]]) -> list[tuple[Any, dict[str, Any]]]:
    return [(dom, params(fields)) for dom, fields in value]


# --- bitmaps of CPUs ------------------------------------------------------------------------------


def cpu_map(bits: bytes, count: int) -> tuple[bool, ...]:
    """One boolean per host CPU, from a bitmap that may be shorter."""
    return tuple(
        bool(bits[cpu >> 3] >> (cpu & 7) & 1) if cpu >> 3 < len(bits) else False
        for cpu in range(count)
    )


def cpu_maps(bits: bytes, length: int, count: int) -> list[tuple[bool, ...]]:
    """The bitmaps of several virtual CPUs, each `length` bytes long."""
    return [
        cpu_map(bits[start : start + length], count) for start in range(0, len(bits), length or 1)
    ]


# --- host -----------------------------------------------------------------------------------------


def node_info(value: tuple[Any, ...]) -> list[Any]:
    """[model, memory in MiB, CPUs, MHz, nodes, sockets, cores, threads]."""
    model, memory, *rest = value
    return [text_of(model), memory >> 10, *rest]


def node_cpu_map(value: tuple[bytes, int, int]) -> tuple[int, list[bool], int]:
    bits, online, count = value
    return count, list(cpu_map(bits, count)), online


def security_model(value: tuple[bytes, bytes]) -> list[str]:
    return [text_of(value[0]), text_of(value[1])]


def dhcp_leases(value: tuple[list[tuple[Any, ...]], int]) -> list[dict[str, Any]]:
    return [
        {
            "iface": iface,
            "expirytime": expirytime,
            "type": type,
            "mac": mac,
            "ipaddr": ipaddr,
            "prefix": prefix,
            "hostname": hostname,
            "clientid": clientid,
            "iaid": iaid,
        }
        for iface, expirytime, type, mac, iaid, ipaddr, prefix, hostname, clientid in value[0]
    ]
