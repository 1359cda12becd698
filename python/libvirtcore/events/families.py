# SPDX-License-Identifier: LGPL-2.1-or-later
"""families.py: the event families and, by event id, the dispatcher that shows an event to Python.

A dispatcher is a method of virConnect (those named `_deliver_` first change how arguments look, and
call the public one); it is called with the object's handle, the event's
arguments in the order of the wire, and the dict that carries the user's callback.
Called by: events.state, api.events, drivers.remote.events. Never: holds state.
"""

from __future__ import annotations

DOMAIN = "domain"
NETWORK = "network"
STORAGE_POOL = "storage_pool"
NODE_DEVICE = "node_device"
SECRET = "secret"
QEMU_MONITOR = "qemu_monitor"

DISPATCHERS: dict[str, tuple[str, ...]] = {
    DOMAIN: (
        "_dispatchDomainEventLifecycleCallback",
        "_dispatchDomainEventGenericCallback",  # reboot
        "_dispatchDomainEventRTCChangeCallback",
        "_dispatchDomainEventWatchdogCallback",
        "_dispatchDomainEventIOErrorCallback",
        "_deliver_graphics",  # makes dicts of the addresses
        "_dispatchDomainEventIOErrorReasonCallback",
        "_dispatchDomainEventGenericCallback",  # control error
        "_dispatchDomainEventBlockJobCallback",
        "_dispatchDomainEventDiskChangeCallback",
        "_dispatchDomainEventTrayChangeCallback",
        "_dispatchDomainEventPMWakeupCallback",
        "_dispatchDomainEventPMSuspendCallback",
        "_dispatchDomainEventBalloonChangeCallback",
        "_dispatchDomainEventPMSuspendDiskCallback",
        "_dispatchDomainEventDeviceRemovedCallback",
        "_dispatchDomainEventBlockJobCallback",  # block job 2
        "_deliver_tunable",  # makes a dict of the parameters
        "_dispatchDomainEventAgentLifecycleCallback",
        "_dispatchDomainEventDeviceAddedCallback",
        "_dispatchDomainEventMigrationIterationCallback",
        "_deliver_job_completed",  # the same
        "_dispatchDomainEventDeviceRemovalFailedCallback",
        "_dispatchDomainEventMetadataChangeCallback",
        "_dispatchDomainEventBlockThresholdCallback",
        "_dispatchDomainEventMemoryFailureCallback",
        "_dispatchDomainEventMemoryDeviceSizeChangeCallback",
        "_dispatchDomainEventNICMACChangeCallback",
        "_dispatchDomainEventVcpuRemovedCallback",
        "_deliver_channel_lifecycle",  # the public dispatcher has no place for the channel's name
    ),
    NETWORK: (
        "_dispatchNetworkEventLifecycleCallback",
        "_dispatchNetworkEventMetadataChangeCallback",
    ),
    STORAGE_POOL: (
        "_dispatchStoragePoolEventLifecycleCallback",
        "_dispatchStoragePoolEventGenericCallback",  # refresh
    ),
    NODE_DEVICE: (
        "_dispatchNodeDeviceEventLifecycleCallback",
        "_dispatchNodeDeviceEventGenericCallback",  # update
    ),
    SECRET: (
        "_dispatchSecretEventLifecycleCallback",
        "_dispatchSecretEventGenericCallback",  # value changed
    ),
}
