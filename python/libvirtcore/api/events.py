# SPDX-License-Identifier: LGPL-2.1-or-later
"""events.py: the door's functions that register and forget callbacks.

What is registered is the dict of the public classes, {"cb", "conn", "opaque"}; an event goes to the
dispatcher of that connection, a method of virConnect, which shows it to the user's callback.
Called by: libvirtmod, libvirtmod_qemu. Calls: events.state.
Never: calls a user's callback.
"""

from __future__ import annotations

import sys

from libvirtcore.api import args as arg
from libvirtcore.api.call import Row, argument, run
from libvirtcore.api.objects import uuid_string
from libvirtcore.drivers.support import no_support
from libvirtcore.errors import VirError, invalid_argument
from libvirtcore.events import families
from libvirtcore.events.state import event_state
from libvirtcore.generated import api_table as row
from libvirtcore.generated.constants import VIR_ERR_NO_SUPPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.events.state import Deliver

__all__ = [
    "virConnectDomainEventDeregister",
    "virConnectDomainEventDeregisterAny",
    "virConnectDomainEventRegister",
    "virConnectDomainEventRegisterAny",
    "virConnectDomainQemuMonitorEventDeregister",
    "virConnectDomainQemuMonitorEventRegister",
    "virConnectNetworkEventDeregisterAny",
    "virConnectNetworkEventRegisterAny",
    "virConnectNodeDeviceEventDeregisterAny",
    "virConnectNodeDeviceEventRegisterAny",
    "virConnectRegisterCloseCallback",
    "virConnectSecretEventDeregisterAny",
    "virConnectSecretEventRegisterAny",
    "virConnectStoragePoolEventDeregisterAny",
    "virConnectStoragePoolEventRegisterAny",
    "virConnectUnregisterCloseCallback",
]


# What a filter of another connection is called, and its argument.
_STRANGERS = {
    families.DOMAIN: ("dom", "domain '%s' must match connection"),
    families.NETWORK: ("net", "network '%s' in {} must match connection"),
    families.STORAGE_POOL: ("pool", "storage pool '%s' in {} must match connection"),
    families.NODE_DEVICE: ("dev", "node device '%s' in {} must match connection"),
    families.SECRET: ("secret", "secret '%s' in {} must match connection"),
    families.QEMU_MONITOR: ("dom", "domain '%s' in {} must match connection"),
}


def _subscribe(
    facts: Row, family: str, kind: str, conn: Any, handle: Any, event_id: Any, deliver: Deliver
) -> int:
    """Register after checking the object of the filter. Raises: VirError."""
    if handle is not None and argument(facts, kind, handle).conn is not conn:
        name, text = _STRANGERS[family]
        title = uuid_string(handle.uuid) if family == families.SECRET else handle.name
        message = text.format(facts.name) % title
        raise invalid_argument(facts.name, name, message, facts.domain)
    try:
        return event_state(conn).register(family, event_id, handle, deliver)
    except VirError as error:
        if error.code == VIR_ERR_NO_SUPPORT and error.str2 != facts.name:
            raise no_support(facts.name, facts.domain) from None  # the base driver knows no family
        raise


def _register(facts: Row, family: str, kind: str) -> Any:
    """The body of a registration for one event id."""
    dispatchers = families.DISPATCHERS[family]

    def body(_driver: Any, conn: Any, handle: Any, event_id: int, data: Any) -> int:
        if not 0 <= event_id < len(dispatchers):
            return -1  # and no error, as in libvirt-python
        name = dispatchers[event_id]

        def deliver(handle: Any, values: tuple[Any, ...]) -> object:
            return getattr(data["conn"], name)(handle, *values, data)

        return _subscribe(facts, family, kind, conn, handle, event_id, deliver)

    return body


def _deregister(facts: Row) -> Any:
    def body(_driver: Any, conn: Any, callback_id: int) -> int:
        if callback_id < 0:
            message = f"callbackID in {facts.name} must be zero or greater"
            raise invalid_argument(facts.name, "callbackID", message, facts.domain)
        event_state(conn).deregister(callback_id)
        return 0

    return body


_domain = _register(row.virConnectDomainEventRegisterAny, families.DOMAIN, "domain")
_network = _register(row.virConnectNetworkEventRegisterAny, families.NETWORK, "network")
_pool = _register(row.virConnectStoragePoolEventRegisterAny, families.STORAGE_POOL, "storage_pool")
_device = _register(row.virConnectNodeDeviceEventRegisterAny, families.NODE_DEVICE, "node_device")
_secret = _register(row.virConnectSecretEventRegisterAny, families.SECRET, "secret")
_domain_gone = _deregister(row.virConnectDomainEventDeregisterAny)
_network_gone = _deregister(row.virConnectNetworkEventDeregisterAny)
_pool_gone = _deregister(row.virConnectStoragePoolEventDeregisterAny)
_device_gone = _deregister(row.virConnectNodeDeviceEventDeregisterAny)
_secret_gone = _deregister(row.virConnectSecretEventDeregisterAny)
_qemu_gone = _deregister(row.virConnectDomainQemuMonitorEventDeregister)


def virConnectDomainEventRegisterAny(conn: Any, dom: Any, eventID: Any, cbData: Any, /) -> Any:
    number = arg.i32(eventID)
    return run(row.virConnectDomainEventRegisterAny, _domain, conn, dom, number, cbData)


def virConnectDomainEventDeregisterAny(conn: Any, callbackID: Any, /) -> Any:
    return run(row.virConnectDomainEventDeregisterAny, _domain_gone, conn, arg.i32(callbackID))


def virConnectNetworkEventRegisterAny(conn: Any, net: Any, eventID: Any, cbData: Any, /) -> Any:
    number = arg.i32(eventID)
    return run(row.virConnectNetworkEventRegisterAny, _network, conn, net, number, cbData)


def virConnectNetworkEventDeregisterAny(conn: Any, callbackID: Any, /) -> Any:
    return run(row.virConnectNetworkEventDeregisterAny, _network_gone, conn, arg.i32(callbackID))


def virConnectStoragePoolEventRegisterAny(
    conn: Any, pool: Any, eventID: Any, cbData: Any, /
) -> Any:
    number = arg.i32(eventID)
    return run(row.virConnectStoragePoolEventRegisterAny, _pool, conn, pool, number, cbData)


def virConnectStoragePoolEventDeregisterAny(conn: Any, callbackID: Any, /) -> Any:
    number = arg.i32(callbackID)
    return run(row.virConnectStoragePoolEventDeregisterAny, _pool_gone, conn, number)


def virConnectNodeDeviceEventRegisterAny(conn: Any, dev: Any, eventID: Any, cbData: Any, /) -> Any:
    number = arg.i32(eventID)
    return run(row.virConnectNodeDeviceEventRegisterAny, _device, conn, dev, number, cbData)


def virConnectNodeDeviceEventDeregisterAny(conn: Any, callbackID: Any, /) -> Any:
    number = arg.i32(callbackID)
    return run(row.virConnectNodeDeviceEventDeregisterAny, _device_gone, conn, number)


def virConnectSecretEventRegisterAny(conn: Any, secret: Any, eventID: Any, cbData: Any, /) -> Any:
    number = arg.i32(eventID)
    return run(row.virConnectSecretEventRegisterAny, _secret, conn, secret, number, cbData)


def virConnectSecretEventDeregisterAny(conn: Any, callbackID: Any, /) -> Any:
    return run(row.virConnectSecretEventDeregisterAny, _secret_gone, conn, arg.i32(callbackID))


# --- the old way: one callback per connection, lifecycle events only ------------------------------


def virConnectDomainEventRegister(conn: Any, instance: Any, /) -> Any:
    """Lifecycle events go to `instance._dispatchDomainEventCallbacks`."""

    def deliver(handle: Any, values: tuple[Any, ...]) -> object:
        return instance._dispatchDomainEventCallbacks(handle, *values)

    def body(_driver: Any, conn: Any) -> int:
        event_state(conn).register(families.DOMAIN, 0, None, deliver, legacy=True)
        return 0

    return run(row.virConnectDomainEventRegister, body, conn)


def virConnectDomainEventDeregister(conn: Any, _instance: Any, /) -> Any:
    def body(_driver: Any, conn: Any) -> int:
        event_state(conn).deregister_legacy()
        return 0

    return run(row.virConnectDomainEventDeregister, body, conn)


# --- QEMU's own events ----------------------------------------------------------------------------


def virConnectDomainQemuMonitorEventRegister(
    conn: Any, dom: Any, event: Any, cbData: Any, flags: Any, /
) -> Any:
    facts = row.virConnectDomainQemuMonitorEventRegister

    def deliver(handle: Any, values: tuple[Any, ...]) -> object:
        face = sys.modules["libvirt_qemu"]
        return face._dispatchQemuMonitorEventCallback(cbData["conn"], handle, *values, cbData)

    def body(_driver: Any, conn: Any, dom: Any, event: str | None, flags: int) -> int:
        return _subscribe(
            facts, families.QEMU_MONITOR, "domain", conn, dom, (event, flags), deliver
        )

    return run(facts, body, conn, dom, arg.text(event, facts.name, 3), arg.u32(flags))


def virConnectDomainQemuMonitorEventDeregister(conn: Any, callbackID: Any, /) -> Any:
    number = arg.i32(callbackID)
    return run(row.virConnectDomainQemuMonitorEventDeregister, _qemu_gone, conn, number)


# --- the end of the connection --------------------------------------------------------------------


def virConnectRegisterCloseCallback(conn: Any, cbData: Any, /) -> Any:
    def deliver(_handle: Any, values: tuple[Any, ...]) -> object:
        return cbData["conn"]._dispatchCloseCallback(*values, cbData)

    def body(_driver: Any, conn: Any) -> int:
        event_state(conn).register_close(deliver)
        return 0

    return run(row.virConnectRegisterCloseCallback, body, conn)


def virConnectUnregisterCloseCallback(conn: Any, /) -> Any:
    def body(_driver: Any, conn: Any) -> int:
        event_state(conn).unregister_close()
        return 0

    return run(row.virConnectUnregisterCloseCallback, body, conn)
