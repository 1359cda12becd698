# SPDX-License-Identifier: LGPL-2.1-or-later
"""event_messages.py: what each event of the wire says, in one row.

Three layouts exist. Old daemons send the object and the facts. Daemons with server-side filters put
the number of the registration before it, either around the old message or before flat fields.
Called by: drivers.remote.events. Never: holds state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libvirtcore.events.families import (
    DOMAIN,
    NETWORK,
    NODE_DEVICE,
    QEMU_MONITOR,
    SECRET,
    STORAGE_POOL,
)
from libvirtcore.handles import (
    DomainHandle,
    NetworkHandle,
    NodeDeviceHandle,
    SecretHandle,
    StoragePoolHandle,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from libvirtcore.handles import Handle

    # message -> (number of the registration or None, the object's wire tuple, arguments)
    Layout = Callable[[tuple[Any, ...]], tuple[int | None, tuple[Any, ...], tuple[Any, ...]]]

OBJECTS: dict[str, type[Handle]] = {
    DOMAIN: DomainHandle,
    NETWORK: NetworkHandle,
    STORAGE_POOL: StoragePoolHandle,
    NODE_DEVICE: NodeDeviceHandle,
    SECRET: SecretHandle,
    QEMU_MONITOR: DomainHandle,
}


def _plain(message: tuple[Any, ...]) -> tuple[None, tuple[Any, ...], tuple[Any, ...]]:
    """(object, facts …)"""
    return None, message[0], message[1:]


def _plain_pm(message: tuple[Any, ...]) -> tuple[None, tuple[Any, ...], tuple[Any, ...]]:
    """(object): the reason, which has always been 0, was not sent"""
    return None, message[0], (0,)


def _wrapped(message: tuple[Any, ...]) -> tuple[int, tuple[Any, ...], tuple[Any, ...]]:
    """(number, (object, facts …))"""
    number, inner = message
    return number, inner[0], inner[1:]


def _wrapped_pm(message: tuple[Any, ...]) -> tuple[int, tuple[Any, ...], tuple[Any, ...]]:
    """(number, reason, (object))"""
    number, reason, inner = message
    return number, inner[0], (reason,)


def _flat(message: tuple[Any, ...]) -> tuple[int, tuple[Any, ...], tuple[Any, ...]]:
    """(number, object, facts …)"""
    return message[0], message[1], message[2:]


CONNECTION_CLOSED = 362  # connect_event_connection_closed, the only event without an object
QEMU_MONITOR_EVENT = 6  # domain_monitor_event of program qemu

# procedure of program remote -> (family, event id, layout)
EVENTS: dict[int, tuple[str, int, Layout]] = {
    107: (DOMAIN, 0, _plain),  # lifecycle
    169: (DOMAIN, 1, _plain),  # reboot
    170: (DOMAIN, 2, _plain),  # rtc_change
    171: (DOMAIN, 3, _plain),  # watchdog
    172: (DOMAIN, 4, _plain),  # io_error
    173: (DOMAIN, 5, _plain),  # graphics
    195: (DOMAIN, 6, _plain),  # io_error_reason
    224: (DOMAIN, 7, _plain),  # control_error
    241: (DOMAIN, 8, _plain),  # block_job
    248: (DOMAIN, 9, _plain),  # disk_change
    268: (DOMAIN, 10, _plain),  # tray_change
    269: (DOMAIN, 11, _plain_pm),  # pmwakeup
    270: (DOMAIN, 12, _plain_pm),  # pmsuspend
    276: (DOMAIN, 13, _plain),  # balloon_change
    292: (DOMAIN, 14, _plain_pm),  # pmsuspend_disk
    311: (DOMAIN, 15, _plain),  # device_removed
    318: (DOMAIN, 0, _wrapped),
    319: (DOMAIN, 1, _wrapped),
    320: (DOMAIN, 2, _wrapped),
    321: (DOMAIN, 3, _wrapped),
    322: (DOMAIN, 4, _wrapped),
    323: (DOMAIN, 5, _wrapped),
    324: (DOMAIN, 6, _wrapped),
    325: (DOMAIN, 7, _wrapped),
    326: (DOMAIN, 8, _wrapped),
    327: (DOMAIN, 9, _wrapped),
    328: (DOMAIN, 10, _wrapped),
    329: (DOMAIN, 11, _wrapped_pm),
    330: (DOMAIN, 12, _wrapped_pm),
    331: (DOMAIN, 13, _wrapped),
    332: (DOMAIN, 14, _wrapped_pm),
    333: (DOMAIN, 15, _wrapped),
    339: (DOMAIN, 16, _flat),  # block_job_2
    346: (DOMAIN, 17, _flat),  # tunable
    348: (DOMAIN, 18, _flat),  # agent_lifecycle
    354: (DOMAIN, 19, _flat),  # device_added
    359: (DOMAIN, 20, _flat),  # migration_iteration
    363: (DOMAIN, 21, _flat),  # job_completed
    367: (DOMAIN, 22, _flat),  # device_removal_failed
    379: (DOMAIN, 23, _flat),  # metadata_change
    385: (DOMAIN, 24, _flat),  # block_threshold
    423: (DOMAIN, 25, _flat),  # memory_failure
    438: (DOMAIN, 26, _flat),  # memory_device_size_change
    453: (DOMAIN, 27, _flat),  # nic_mac_change
    454: (DOMAIN, 28, _flat),  # vcpu_removed
    455: (DOMAIN, 29, _flat),  # channel_lifecycle
    315: (NETWORK, 0, _flat),
    446: (NETWORK, 1, _flat),  # metadata_change
    370: (STORAGE_POOL, 0, _flat),
    373: (STORAGE_POOL, 1, _flat),  # refresh
    376: (NODE_DEVICE, 0, _flat),
    377: (NODE_DEVICE, 1, _flat),  # update
    382: (SECRET, 0, _flat),
    383: (SECRET, 1, _flat),  # value_changed
}

QEMU_EVENTS: dict[int, tuple[str, int, Layout]] = {QEMU_MONITOR_EVENT: (QEMU_MONITOR, 0, _flat)}
