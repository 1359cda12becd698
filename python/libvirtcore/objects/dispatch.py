# SPDX-License-Identifier: LGPL-2.1-or-later
"""dispatch.py: how an event becomes a call of the user's callback.

Each dispatcher takes the handle of the event's object, wraps it, and calls `cbData["cb"]` with the
connection, the object, the event's arguments and `cbData["opaque"]`.
Called by: libvirtcore.api.events, through the names in events.families. Never: catches what the
callback raises; the event state shows it.
"""

from __future__ import annotations

from libvirtcore.events.state import copy_handle
from libvirtcore.objects.classes import (
    virDomain,
    virNetwork,
    virNodeDevice,
    virSecret,
    virStoragePool,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from libvirtcore.handles import Handle

# mypy: disable-error-code="arg-type"
# The mixin is part of virConnect, which is what callbacks and objects are given.

CallbackData: TypeAlias = "dict[str, Any]"  # "cb", "conn", "opaque"


class EventDispatch:
    """The dispatchers of virConnect."""

    def _dispatchCloseCallback(self, reason: int, cbData: CallbackData) -> int:
        """The connection was lost."""
        cbData["cb"](self, reason, cbData["opaque"])
        return 0

    def _dispatchDomainEventCallbacks(self, dom: Handle, event: int, detail: int) -> None:
        """Lifecycle, for the callbacks of domainEventRegister."""
        callbacks: dict[Any, Any] = getattr(self, "domainEventCallbacks", {})
        for callback, opaque in list(callbacks.items()):
            callback(self, virDomain(self, copy_handle(dom)), event, detail, opaque)

    def _dispatchDomainEventGraphicsCallback(
        self,
        dom: Handle,
        phase: int,
        localAddr: dict[str, Any],
        remoteAddr: dict[str, Any],
        authScheme: str,
        subject: list[tuple[str, str]],
        cbData: CallbackData,
    ) -> int:
        """A client of the graphics console came or went."""
        cbData["cb"](
            self,
            virDomain(self, dom),
            phase,
            localAddr,
            remoteAddr,
            authScheme,
            subject,
            cbData["opaque"],
        )
        return 0

    def _deliver_graphics(
        self, dom: Handle, phase: int, local: Any, remote: Any, scheme: str, subject: Any, data: Any
    ) -> int:
        """Addresses arrive as (family, node, service), users get dicts."""
        return self._dispatchDomainEventGraphicsCallback(
            dom, phase, _address(local), _address(remote), scheme, list(subject), data
        )

    def _deliver_tunable(self, dom: Handle, params: Any, data: CallbackData) -> int:
        """Parameters arrive as triples or as the dict that users get."""
        return self._dispatchDomainEventTunableCallback(dom, _by_name(params), data)

    def _deliver_job_completed(self, dom: Handle, params: Any, data: CallbackData) -> int:
        """Parameters arrive as triples or as the dict that users get."""
        return self._dispatchDomainEventJobCompletedCallback(dom, _by_name(params), data)

    def _deliver_channel_lifecycle(
        self, dom: Handle, channelName: str, state: int, reason: int, cbData: CallbackData
    ) -> int:
        """Channel opened or closed; callbacks with room for six arguments also get its name."""
        callback = cbData["cb"]
        if _takes(callback, 6):
            callback(self, virDomain(self, dom), channelName, state, reason, cbData["opaque"])
            return 0
        return self._dispatchDomainEventChannelLifecycleCallback(dom, state, reason, cbData)

    # -- virDomain -----------------------------------------------------------------------------

    def _dispatchDomainEventLifecycleCallback(
        self,
        dom: Handle,
        event: int,
        detail: int,
        cbData: CallbackData,
    ) -> int:
        """Started, stopped, defined."""
        cbData["cb"](self, virDomain(self, dom), event, detail, cbData["opaque"])
        return 0

    def _dispatchDomainEventGenericCallback(self, dom: Handle, cbData: CallbackData) -> int:
        """Reboot and control errors."""
        cbData["cb"](self, virDomain(self, dom), cbData["opaque"])
        return 0

    def _dispatchDomainEventRTCChangeCallback(
        self,
        dom: Handle,
        offset: int,
        cbData: CallbackData,
    ) -> int:
        """Clock offset."""
        cbData["cb"](self, virDomain(self, dom), offset, cbData["opaque"])
        return 0

    def _dispatchDomainEventWatchdogCallback(
        self,
        dom: Handle,
        action: int,
        cbData: CallbackData,
    ) -> int:
        """Watchdog fired."""
        cbData["cb"](self, virDomain(self, dom), action, cbData["opaque"])
        return 0

    def _dispatchDomainEventIOErrorCallback(
        self,
        dom: Handle,
        srcPath: str,
        devAlias: str,
        action: int,
        cbData: CallbackData,
    ) -> int:
        """Disk error."""
        cbData["cb"](self, virDomain(self, dom), srcPath, devAlias, action, cbData["opaque"])
        return 0

    def _dispatchDomainEventIOErrorReasonCallback(
        self,
        dom: Handle,
        srcPath: str,
        devAlias: str,
        action: int,
        reason: str,
        cbData: CallbackData,
    ) -> int:
        """Disk error with its reason."""
        cbData["cb"](
            self, virDomain(self, dom), srcPath, devAlias, action, reason, cbData["opaque"]
        )
        return 0

    def _dispatchDomainEventBlockJobCallback(
        self,
        dom: Handle,
        disk: str,
        type: int,
        status: int,
        cbData: CallbackData,
    ) -> int:
        """Block job ended or is ready."""
        cbData["cb"](self, virDomain(self, dom), disk, type, status, cbData["opaque"])
        return 0

    def _dispatchDomainEventDiskChangeCallback(
        self,
        dom: Handle,
        oldSrcPath: str | None,
        newSrcPath: str | None,
        devAlias: str,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Medium changed."""
        cbData["cb"](
            self, virDomain(self, dom), oldSrcPath, newSrcPath, devAlias, reason, cbData["opaque"]
        )
        return 0

    def _dispatchDomainEventTrayChangeCallback(
        self,
        dom: Handle,
        devAlias: str,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Tray moved."""
        cbData["cb"](self, virDomain(self, dom), devAlias, reason, cbData["opaque"])
        return 0

    def _dispatchDomainEventPMWakeupCallback(
        self,
        dom: Handle,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Guest woke."""
        cbData["cb"](self, virDomain(self, dom), reason, cbData["opaque"])
        return 0

    def _dispatchDomainEventPMSuspendCallback(
        self,
        dom: Handle,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Guest sleeps."""
        cbData["cb"](self, virDomain(self, dom), reason, cbData["opaque"])
        return 0

    def _dispatchDomainEventBalloonChangeCallback(
        self,
        dom: Handle,
        actual: int,
        cbData: CallbackData,
    ) -> int:
        """Memory balloon resized."""
        cbData["cb"](self, virDomain(self, dom), actual, cbData["opaque"])
        return 0

    def _dispatchDomainEventPMSuspendDiskCallback(
        self,
        dom: Handle,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Guest hibernates."""
        cbData["cb"](self, virDomain(self, dom), reason, cbData["opaque"])
        return 0

    def _dispatchDomainEventDeviceRemovedCallback(
        self,
        dom: Handle,
        devAlias: str,
        cbData: CallbackData,
    ) -> int:
        """Device unplugged."""
        cbData["cb"](self, virDomain(self, dom), devAlias, cbData["opaque"])
        return 0

    def _dispatchDomainEventTunableCallback(
        self,
        dom: Handle,
        params: dict[str, Any],
        cbData: CallbackData,
    ) -> int:
        """Tuning changed."""
        cbData["cb"](self, virDomain(self, dom), params, cbData["opaque"])
        return 0

    def _dispatchDomainEventAgentLifecycleCallback(
        self,
        dom: Handle,
        state: int,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Guest agent came or went."""
        cbData["cb"](self, virDomain(self, dom), state, reason, cbData["opaque"])
        return 0

    def _dispatchDomainEventDeviceAddedCallback(
        self,
        dom: Handle,
        devAlias: str,
        cbData: CallbackData,
    ) -> int:
        """Device plugged."""
        cbData["cb"](self, virDomain(self, dom), devAlias, cbData["opaque"])
        return 0

    def _dispatchDomainEventMigrationIterationCallback(
        self,
        dom: Handle,
        iteration: int,
        cbData: CallbackData,
    ) -> int:
        """Migration round."""
        cbData["cb"](self, virDomain(self, dom), iteration, cbData["opaque"])
        return 0

    def _dispatchDomainEventJobCompletedCallback(
        self,
        dom: Handle,
        params: dict[str, Any],
        cbData: CallbackData,
    ) -> int:
        """Job statistics."""
        cbData["cb"](self, virDomain(self, dom), params, cbData["opaque"])
        return 0

    def _dispatchDomainEventDeviceRemovalFailedCallback(
        self,
        dom: Handle,
        devAlias: str,
        cbData: CallbackData,
    ) -> int:
        """Guest kept a device."""
        cbData["cb"](self, virDomain(self, dom), devAlias, cbData["opaque"])
        return 0

    def _dispatchDomainEventMetadataChangeCallback(
        self,
        dom: Handle,
        mtype: int,
        nsuri: str | None,
        cbData: CallbackData,
    ) -> int:
        """Metadata changed."""
        cbData["cb"](self, virDomain(self, dom), mtype, nsuri, cbData["opaque"])
        return 0

    def _dispatchDomainEventBlockThresholdCallback(
        self,
        dom: Handle,
        dev: str,
        path: str | None,
        threshold: int,
        excess: int,
        cbData: CallbackData,
    ) -> int:
        """Disk usage crossed the threshold."""
        cbData["cb"](self, virDomain(self, dom), dev, path, threshold, excess, cbData["opaque"])
        return 0

    def _dispatchDomainEventMemoryFailureCallback(
        self,
        dom: Handle,
        recipient: int,
        action: int,
        flags: int,
        cbData: CallbackData,
    ) -> int:
        """Memory error."""
        cbData["cb"](self, virDomain(self, dom), recipient, action, flags, cbData["opaque"])
        return 0

    def _dispatchDomainEventMemoryDeviceSizeChangeCallback(
        self,
        dom: Handle,
        alias: str,
        size: int,
        cbData: CallbackData,
    ) -> int:
        """Virtio-mem resized."""
        cbData["cb"](self, virDomain(self, dom), alias, size, cbData["opaque"])
        return 0

    def _dispatchDomainEventNICMACChangeCallback(
        self,
        dom: Handle,
        alias: str,
        oldMAC: str,
        newMAC: str,
        cbData: CallbackData,
    ) -> int:
        """Guest changed a MAC."""
        cbData["cb"](self, virDomain(self, dom), alias, oldMAC, newMAC, cbData["opaque"])
        return 0

    def _dispatchDomainEventVcpuRemovedCallback(
        self,
        dom: Handle,
        vcpuid: int,
        cbData: CallbackData,
    ) -> int:
        """VCPU unplugged."""
        cbData["cb"](self, virDomain(self, dom), vcpuid, cbData["opaque"])
        return 0

    def _dispatchDomainEventChannelLifecycleCallback(
        self,
        dom: Handle,
        state: int,
        reason: int,
        cbData: CallbackData,
    ) -> int:
        """Channel opened or closed."""
        cbData["cb"](self, virDomain(self, dom), state, reason, cbData["opaque"])
        return 0

    # -- virNetwork ----------------------------------------------------------------------------

    def _dispatchNetworkEventLifecycleCallback(
        self,
        net: Handle,
        event: int,
        detail: int,
        cbData: CallbackData,
    ) -> int:
        """Started, stopped, defined."""
        cbData["cb"](self, virNetwork(self, net), event, detail, cbData["opaque"])
        return 0

    def _dispatchNetworkEventMetadataChangeCallback(
        self,
        dom: Handle,
        mtype: int,
        nsuri: str | None,
        cbData: CallbackData,
    ) -> int:
        """Metadata changed."""
        cbData["cb"](self, virNetwork(self, dom), mtype, nsuri, cbData["opaque"])
        return 0

    # -- virStoragePool ------------------------------------------------------------------------

    def _dispatchStoragePoolEventLifecycleCallback(
        self,
        pool: Handle,
        event: int,
        detail: int,
        cbData: CallbackData,
    ) -> int:
        """Defined, started, built."""
        cbData["cb"](self, virStoragePool(self, pool), event, detail, cbData["opaque"])
        return 0

    def _dispatchStoragePoolEventGenericCallback(self, pool: Handle, cbData: CallbackData) -> int:
        """Refreshed."""
        cbData["cb"](self, virStoragePool(self, pool), cbData["opaque"])
        return 0

    # -- virNodeDevice -------------------------------------------------------------------------

    def _dispatchNodeDeviceEventLifecycleCallback(
        self,
        dev: Handle,
        event: int,
        detail: int,
        cbData: CallbackData,
    ) -> int:
        """Came or went."""
        cbData["cb"](self, virNodeDevice(self, dev), event, detail, cbData["opaque"])
        return 0

    def _dispatchNodeDeviceEventGenericCallback(self, dev: Handle, cbData: CallbackData) -> int:
        """Changed."""
        cbData["cb"](self, virNodeDevice(self, dev), cbData["opaque"])
        return 0

    # -- virSecret -----------------------------------------------------------------------------

    def _dispatchSecretEventLifecycleCallback(
        self,
        secret: Handle,
        event: int,
        detail: int,
        cbData: CallbackData,
    ) -> int:
        """Defined or undefined."""
        cbData["cb"](self, virSecret(self, secret), event, detail, cbData["opaque"])
        return 0

    def _dispatchSecretEventGenericCallback(self, secret: Handle, cbData: CallbackData) -> int:
        """Value changed."""
        cbData["cb"](self, virSecret(self, secret), cbData["opaque"])
        return 0


def _takes(callback: Any, count: int) -> bool:
    """Whether a callable accepts that many positional arguments; unknown signatures do."""
    from inspect import signature

    try:
        signature(callback).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _address(raw: tuple[int, str, str]) -> dict[str, Any]:
    family, node, service = raw
    return {"family": family, "node": node, "service": service}


def _by_name(params: Any) -> dict[str, Any]:
    return params if isinstance(params, dict) else {name: value for name, _, value in params}
