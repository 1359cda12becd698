# SPDX-License-Identifier: LGPL-2.1-or-later
"""tuning.py: the door's setters that ask for the current settings first, to learn their types.

libvirt-python does so where libvirt gives no table of types; a name the object does not have now
is refused before anything is changed.
Called by: libvirtmod. Calls: api.typed.
Never: sends a setting whose type is a guess when a driver told it.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api.call import Row, run
from libvirtcore.api.typed import from_current, need_dict
from libvirtcore.generated import api_table as row
from libvirtcore.generated import constants as c
from libvirtcore.generated import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virDomainSetBlkioParameters",
    "virDomainSetInterfaceParameters",
    "virDomainSetMemoryParameters",
    "virDomainSetNumaParameters",
    "virDomainSetPerfEvents",
    "virDomainSetSchedulerParameters",
    "virDomainSetSchedulerParametersFlags",
    "virNetworkPortSetParameters",
    "virNodeSetMemoryParameters",
]


def _change(facts: Row, getter: str, setter: str, asked: tuple[Any, ...]) -> Any:
    """The body of a setter: `asked` is what the getter takes between the object and the flags."""

    def body(driver: Any, handle: Any, params: Any, *rest: Any) -> int:
        on = () if facts.kind == "connect" else (handle,)
        current = getattr(driver.with_types(), getter)(*on, *rest[:-1], *asked, *rest[-1:])
        values = current[0] if isinstance(current, tuple) else current
        if not values:
            raise LookupError("there are no settable attributes")
        where = rest[:-1]
        getattr(driver, setter)(*on, *where, from_current(params, values), *rest[-1:])
        return 0

    return body


_scheduler = _change(
    row.virDomainSetSchedulerParameters,
    "domain_get_scheduler_parameters",
    "domain_set_scheduler_parameters",
    (limits.REMOTE_DOMAIN_SCHEDULER_PARAMETERS_MAX,),
)
_scheduler_flags = _change(
    row.virDomainSetSchedulerParametersFlags,
    "domain_get_scheduler_parameters_flags",
    "domain_set_scheduler_parameters_flags",
    (limits.REMOTE_DOMAIN_SCHEDULER_PARAMETERS_MAX,),
)
_blkio = _change(
    row.virDomainSetBlkioParameters,
    "domain_get_blkio_parameters",
    "domain_set_blkio_parameters",
    (limits.REMOTE_DOMAIN_BLKIO_PARAMETERS_MAX,),
)
_memory = _change(
    row.virDomainSetMemoryParameters,
    "domain_get_memory_parameters",
    "domain_set_memory_parameters",
    (limits.REMOTE_DOMAIN_MEMORY_PARAMETERS_MAX,),
)
_numa = _change(
    row.virDomainSetNumaParameters,
    "domain_get_numa_parameters",
    "domain_set_numa_parameters",
    (limits.REMOTE_DOMAIN_NUMA_PARAMETERS_MAX,),
)
_interface = _change(
    row.virDomainSetInterfaceParameters,
    "domain_get_interface_parameters",
    "domain_set_interface_parameters",
    (limits.REMOTE_DOMAIN_INTERFACE_PARAMETERS_MAX,),
)
_perf = _change(row.virDomainSetPerfEvents, "domain_get_perf_events", "domain_set_perf_events", ())
_port = _change(
    row.virNetworkPortSetParameters,
    "network_port_get_parameters",
    "network_port_set_parameters",
    (limits.REMOTE_NETWORK_PORT_PARAMETERS_MAX,),
)
_node_memory = _change(
    row.virNodeSetMemoryParameters,
    "node_get_memory_parameters",
    "node_set_memory_parameters",
    (limits.REMOTE_NODE_MEMORY_PARAMETERS_MAX,),
)


def virDomainSetSchedulerParameters(domain: Any, params: Any, /) -> Any:
    return run(row.virDomainSetSchedulerParameters, _scheduler, domain, need_dict(params))


def virDomainSetSchedulerParametersFlags(domain: Any, params: Any, flags: Any, /) -> Any:
    return run(
        row.virDomainSetSchedulerParametersFlags,
        _scheduler_flags,
        domain,
        need_dict(params),
        arg.u32(flags),
    )


def virDomainSetBlkioParameters(domain: Any, params: Any, flags: Any, /) -> Any:
    return run(row.virDomainSetBlkioParameters, _blkio, domain, need_dict(params), arg.u32(flags))


def virDomainSetMemoryParameters(domain: Any, params: Any, flags: Any, /) -> Any:
    return run(row.virDomainSetMemoryParameters, _memory, domain, need_dict(params), arg.u32(flags))


def virDomainSetNumaParameters(domain: Any, params: Any, flags: Any, /) -> Any:
    return run(row.virDomainSetNumaParameters, _numa, domain, need_dict(params), arg.u32(flags))


def virDomainSetInterfaceParameters(domain: Any, device: Any, params: Any, flags: Any, /) -> Any:
    name = arg.text(device, "virDomainSetInterfaceParameters", 2)
    return run(
        row.virDomainSetInterfaceParameters,
        _interface,
        domain,
        need_dict(params),
        name,
        arg.u32(flags),
    )


def virDomainSetPerfEvents(domain: Any, params: Any, flags: Any, /) -> Any:
    return run(row.virDomainSetPerfEvents, _perf, domain, need_dict(params), arg.u32(flags))


def virNetworkPortSetParameters(network_port: Any, params: Any, flags: Any, /) -> Any:
    return run(
        row.virNetworkPortSetParameters, _port, network_port, need_dict(params), arg.u32(flags)
    )


def virNodeSetMemoryParameters(connect: Any, params: Any, flags: Any, /) -> Any:
    return run(
        row.virNodeSetMemoryParameters, _node_memory, connect, need_dict(params), arg.u32(flags)
    )
