# SPDX-License-Identifier: LGPL-2.1-or-later
"""special_events.py: registering for events and taking it back, in every way there ever was.

The oldest call knows lifecycle events only, the next takes a number of an event and all objects,
the newest take one object or all and give the registration a number.
Called by: dispatch.py, as functions of (session, args, worker). Calls: events.py.
Never: delivers an event.
"""

from __future__ import annotations

from libvirtcore.api.serving import refuse
from libvirtcore.drivers import wire
from libvirtcore.events import families
from libvirtcore.generated import api_table as row
from libvirtcore.generated.dispatch_table import EVENTS
from libvirtd.answers import REPLIED
from libvirtd.events import OLD, OLDEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.api.call import Row
    from libvirtcore.core_server import Worker
    from libvirtd.session import Session

# How errors name a family before "event ID" and "event callback".
_TITLES = {
    families.DOMAIN: "domain ",
    families.NETWORK: "network ",
    families.STORAGE_POOL: "storage pool ",
    families.NODE_DEVICE: "node device ",
    families.SECRET: "secret ",
    families.QEMU_MONITOR: "qemu monitor ",
}
_HANDLES = {
    families.DOMAIN: wire.domain,
    families.NETWORK: wire.network,
    families.STORAGE_POOL: wire.storage_pool,
    families.NODE_DEVICE: wire.node_device,
    families.SECRET: wire.secret,
}


def _unknown(event_id: int, title: str = "") -> Exception:
    return refuse(f"unsupported {title}event ID {event_id}")


# --- the old ways: all domains ----------------------------------------------------------------


def connect_domain_event_register(session: Session, _args: Any, worker: Worker) -> Any:
    facts = row.virConnectDomainEventRegister
    session.events.add(worker, facts, families.DOMAIN, 0, None, OLDEST)
    return REPLIED


def connect_domain_event_deregister(session: Session, _args: Any, _worker: Worker) -> Any:
    _forget_legacy(session, 0)
    return (0,)


def connect_domain_event_register_any(session: Session, args: Any, worker: Worker) -> Any:
    (event_id,) = args
    if not EVENTS.get((families.DOMAIN, event_id), (0,))[0]:  # younger events have no old message
        raise _unknown(event_id)
    facts = row.virConnectDomainEventRegisterAny
    session.events.add(worker, facts, families.DOMAIN, event_id, None, OLD)
    return REPLIED


def connect_domain_event_deregister_any(session: Session, args: Any, _worker: Worker) -> None:
    (event_id,) = args
    if not EVENTS.get((families.DOMAIN, event_id), (0,))[0]:
        raise _unknown(event_id)
    _forget_legacy(session, event_id)


def _forget_legacy(session: Session, event_id: int) -> None:
    if not session.events.remove_legacy(event_id):
        raise refuse(f"domain event {event_id} not registered")


# --- the new way ------------------------------------------------------------------------------


def _register(session: Session, args: Any, worker: Worker, family: str, facts: Row) -> Any:
    event_id, wanted = args
    if (family, event_id) not in EVENTS:
        raise _unknown(event_id, "" if family == families.DOMAIN else _TITLES[family])
    handle = None if wanted is None else _HANDLES[family](session.conn, wanted)
    session.events.add(worker, facts, family, event_id, handle)
    return REPLIED


def _deregister(session: Session, args: Any, family: str) -> None:
    (number,) = args
    if not session.events.remove_number(number, family):
        raise refuse(f"{_TITLES[family]}event callback {number} not registered")


def connect_domain_event_callback_register_any(session: Session, args: Any, worker: Worker) -> Any:
    facts = row.virConnectDomainEventRegisterAny
    return _register(session, args, worker, families.DOMAIN, facts)


def connect_domain_event_callback_deregister_any(
    session: Session, args: Any, _worker: Worker
) -> None:
    _deregister(session, args, families.DOMAIN)


def connect_network_event_register_any(session: Session, args: Any, worker: Worker) -> Any:
    facts = row.virConnectNetworkEventRegisterAny
    return _register(session, args, worker, families.NETWORK, facts)


def connect_network_event_deregister_any(session: Session, args: Any, _worker: Worker) -> None:
    _deregister(session, args, families.NETWORK)


def connect_storage_pool_event_register_any(session: Session, args: Any, worker: Worker) -> Any:
    facts = row.virConnectStoragePoolEventRegisterAny
    return _register(session, args, worker, families.STORAGE_POOL, facts)


def connect_storage_pool_event_deregister_any(session: Session, args: Any, _worker: Worker) -> None:
    _deregister(session, args, families.STORAGE_POOL)


def connect_node_device_event_register_any(session: Session, args: Any, worker: Worker) -> Any:
    facts = row.virConnectNodeDeviceEventRegisterAny
    return _register(session, args, worker, families.NODE_DEVICE, facts)


def connect_node_device_event_deregister_any(session: Session, args: Any, _worker: Worker) -> None:
    _deregister(session, args, families.NODE_DEVICE)


def connect_secret_event_register_any(session: Session, args: Any, worker: Worker) -> Any:
    facts = row.virConnectSecretEventRegisterAny
    return _register(session, args, worker, families.SECRET, facts)


def connect_secret_event_deregister_any(session: Session, args: Any, _worker: Worker) -> None:
    _deregister(session, args, families.SECRET)


# --- QEMU's own events, and the end of the driver's connection --------------------------------


def qemu_connect_domain_monitor_event_register(session: Session, args: Any, worker: Worker) -> Any:
    dom, event, flags = args
    handle = None if dom is None else wire.domain(session.conn, dom)
    facts = row.virConnectDomainQemuMonitorEventRegister
    session.events.add(worker, facts, families.QEMU_MONITOR, (event, flags), handle)
    return REPLIED


def qemu_connect_domain_monitor_event_deregister(
    session: Session, args: Any, _worker: Worker
) -> None:
    _deregister(session, args, families.QEMU_MONITOR)


def connect_register_close_callback(session: Session, _args: Any, _worker: Worker) -> None:
    session.events.watch_connection()


def connect_unregister_close_callback(session: Session, _args: Any, _worker: Worker) -> None:
    session.events.unwatch_connection()
