# SPDX-License-Identifier: LGPL-2.1-or-later
"""connect.py: virConnect: the connection, and the callbacks registered on it.

Called by: libvirt.py, generated wrappers. Calls: libvirtmod.
Never: keeps the connection alive by itself; registered callbacks do, as in libvirt.
"""

from __future__ import annotations

import sys

import libvirtmod
from libvirtcore.errors import libvirtError
from libvirtcore.generated.wrappers_connect import virConnect as ConnectMethods
from libvirtcore.objects.base import checked
from libvirtcore.objects.classes import virDomain
from libvirtcore.objects.dispatch import EventDispatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    from libvirtcore.annotations import _DomainCB
    from libvirtcore.objects.classes import (
        virNetwork,
        virNodeDevice,
        virSecret,
        virStoragePool,
    )
    from libvirtcore.pipeline import Pipeline

    _T = TypeVar("_T")


class virConnect(ConnectMethods, EventDispatch):
    """A connection to a hypervisor. As a context manager it is closed at the end of the block."""

    # Made when first used, so that a connection without callbacks has none of them.
    domainEventCallbacks: dict[Any, Any]
    domainEventCallbackID: dict[int, Any]
    networkEventCallbackID: dict[int, Any]
    storagePoolEventCallbackID: dict[int, Any]
    nodeDeviceEventCallbackID: dict[int, Any]
    secretEventCallbackID: dict[int, Any]
    qemuMonitorEventCallbackID: dict[int, Any]

    def __init__(self, _obj: object = None) -> None:
        self._o = checked(_obj)

    def __del__(self) -> None:
        handle = self.__dict__.get("_o")
        if handle is None or sys.is_finalizing():
            return  # at the end of the process the descriptor goes with it
        self._o = None
        if self.__dict__.get("domainEventCallbacks"):
            self.domainEventCallbacks.clear()
            libvirtmod.virConnectDomainEventDeregister(handle, self)
        libvirtmod.virConnectClose(handle)

    def __enter__(self) -> virConnect:
        return self

    def __exit__(
        self,
        exc_type_: type[BaseException] | None,
        exc_value_: BaseException | None,
        traceback_: TracebackType | None,
    ) -> None:
        self.close()

    def __copy__(self) -> virConnect:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")

    def c_pointer(self) -> object:
        """Return a number that identifies the underlying handle."""
        return id(self._o)

    def close(self) -> int:
        """Close the connection. Returns 0, or 1 while objects or callbacks keep it open."""
        ret = libvirtmod.virConnectClose(self._o)
        if ret == -1:
            raise libvirtError("virConnectClose() failed")
        self._o = None
        return ret  # type: ignore[no-any-return]

    # -- beyond libvirt-python -----------------------------------------------------------------

    def pipeline(self) -> Pipeline:
        """Have many calls under way at once: `with conn.pipeline() as p: p(dom).info()`."""
        from libvirtcore.pipeline import Pipeline

        return Pipeline(self._o.driver)

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake the calls that a thread, or every thread, waits for on this connection; they fail
        with VIR_ERR_OPERATION_ABORTED. Returns how many there were.
        """
        cancel = getattr(self._o.driver, "cancel", None)
        return 0 if cancel is None else cancel(thread_id)

    @property
    def defaultTimeout(self) -> float | None:
        """Seconds that each call on this connection may take, None for no limit."""
        return getattr(self._o.driver, "default_timeout", None)

    @defaultTimeout.setter
    def defaultTimeout(self, seconds: float | None) -> None:
        self._o.driver.default_timeout = seconds

    # -- calls with a body of their own --------------------------------------------------------

    def listDomainsID(self) -> list[int]:
        """Return the numbers of the running domains."""
        ret = libvirtmod.virConnectListDomainsID(self._o)
        if ret is None:
            raise libvirtError("virConnectListDomainsID() failed")
        return ret  # type: ignore[no-any-return]

    def domainListGetStats(
        self, doms: list[virDomain], stats: int = 0, flags: int = 0
    ) -> list[tuple[virDomain, dict[str, Any]]]:
        """Return [(domain, statistics)] of the given domains in one call."""
        handles = []
        for dom in doms:
            if not isinstance(dom, virDomain):
                raise libvirtError("domain list contains non-domain elements")
            handles.append(dom._o)
        ret = libvirtmod.virDomainListGetStats(self._o, handles, stats, flags)
        if ret is None:
            raise libvirtError("virDomainListGetStats() failed")
        return [(virDomain(self, one), values) for one, values in ret]

    def getAllDomainStats(
        self, stats: int = 0, flags: int = 0
    ) -> list[tuple[virDomain, dict[str, Any]]]:
        """Return [(domain, statistics)] of all domains in one call."""
        ret = libvirtmod.virConnectGetAllDomainStats(self._o, stats, flags)
        if ret is None:
            raise libvirtError("virConnectGetAllDomainStats() failed")
        return [(virDomain(self, one), values) for one, values in ret]

    def virConnResetLastError(self) -> None:
        """Forget the error kept with the connection."""
        libvirtmod.virConnResetLastError(self._o)

    # -- lifecycle events in the first style ---------------------------------------------------

    def domainEventRegister(self, cb: _DomainCB[_T], opaque: _T) -> None:
        """Call `cb(conn, dom, event, detail, opaque)` on lifecycle events of all domains."""
        callbacks = self.__dict__.get("domainEventCallbacks")
        if callbacks is not None:
            callbacks[cb] = opaque
            return
        self.domainEventCallbacks = {cb: opaque}
        if libvirtmod.virConnectDomainEventRegister(self._o, self) == -1:
            raise libvirtError("virConnectDomainEventRegister() failed")

    def domainEventDeregister(self, cb: _DomainCB[Any]) -> None:
        """Forget a callback of domainEventRegister."""
        callbacks = self.__dict__.get("domainEventCallbacks")
        if callbacks is None:
            return
        del callbacks[cb]
        if not callbacks:
            del self.domainEventCallbacks
            if libvirtmod.virConnectDomainEventDeregister(self._o, self) == -1:
                raise libvirtError("virConnectDomainEventDeregister() failed")

    # -- events by number ----------------------------------------------------------------------

    def _event_register(
        self, c_name: str, numbers: str, obj: Any, eventID: int, cb: Any, opaque: Any
    ) -> int:
        table: dict[int, Any] = self.__dict__.setdefault(numbers, {})
        data = {"cb": cb, "conn": self, "opaque": opaque}
        handle = None if obj is None else obj._o
        number: int = getattr(libvirtmod, c_name)(self._o, handle, eventID, data)
        if number == -1:
            raise libvirtError(f"{c_name}() failed")
        table[number] = opaque
        return number

    def _event_deregister(self, c_name: str, numbers: str, callbackID: int) -> None:
        if getattr(libvirtmod, c_name)(self._o, callbackID) == -1:
            raise libvirtError(f"{c_name}() failed")
        del self.__dict__.setdefault(numbers, {})[callbackID]

    def domainEventRegisterAny(
        self, dom: virDomain | None, eventID: int, cb: Callable[..., Any], opaque: Any
    ) -> int:
        """Call `cb` on an event (VIR_DOMAIN_EVENT_ID_…) of one domain, or of all; returns the
        number that domainEventDeregisterAny takes.
        """
        return self._event_register(
            "virConnectDomainEventRegisterAny", "domainEventCallbackID", dom, eventID, cb, opaque
        )

    def domainEventDeregisterAny(self, callbackID: int) -> None:
        """Forget a callback of domainEventRegisterAny."""
        self._event_deregister(
            "virConnectDomainEventDeregisterAny", "domainEventCallbackID", callbackID
        )

    def networkEventRegisterAny(
        self, net: virNetwork | None, eventID: int, cb: Callable[..., Any], opaque: Any
    ) -> int:
        """Call `cb` on an event (VIR_NETWORK_EVENT_ID_…) of one network, or of all."""
        return self._event_register(
            "virConnectNetworkEventRegisterAny", "networkEventCallbackID", net, eventID, cb, opaque
        )

    def networkEventDeregisterAny(self, callbackID: int) -> None:
        """Forget a callback of networkEventRegisterAny."""
        self._event_deregister(
            "virConnectNetworkEventDeregisterAny", "networkEventCallbackID", callbackID
        )

    def storagePoolEventRegisterAny(
        self, pool: virStoragePool | None, eventID: int, cb: Callable[..., Any], opaque: Any
    ) -> int:
        """Call `cb` on an event (VIR_STORAGE_POOL_EVENT_ID_…) of one storage pool, or of all."""
        return self._event_register(
            "virConnectStoragePoolEventRegisterAny",
            "storagePoolEventCallbackID",
            pool,
            eventID,
            cb,
            opaque,
        )

    def storagePoolEventDeregisterAny(self, callbackID: int) -> None:
        """Forget a callback of storagePoolEventRegisterAny."""
        self._event_deregister(
            "virConnectStoragePoolEventDeregisterAny", "storagePoolEventCallbackID", callbackID
        )

    def nodeDeviceEventRegisterAny(
        self, dev: virNodeDevice | None, eventID: int, cb: Callable[..., Any], opaque: Any
    ) -> int:
        """Call `cb` on an event (VIR_NODE_DEVICE_EVENT_ID_…) of one device, or of all."""
        return self._event_register(
            "virConnectNodeDeviceEventRegisterAny",
            "nodeDeviceEventCallbackID",
            dev,
            eventID,
            cb,
            opaque,
        )

    def nodeDeviceEventDeregisterAny(self, callbackID: int) -> None:
        """Forget a callback of nodeDeviceEventRegisterAny."""
        self._event_deregister(
            "virConnectNodeDeviceEventDeregisterAny", "nodeDeviceEventCallbackID", callbackID
        )

    def secretEventRegisterAny(
        self, secret: virSecret | None, eventID: int, cb: Callable[..., Any], opaque: Any
    ) -> int:
        """Call `cb` on an event (VIR_SECRET_EVENT_ID_…) of one secret, or of all."""
        return self._event_register(
            "virConnectSecretEventRegisterAny", "secretEventCallbackID", secret, eventID, cb, opaque
        )

    def secretEventDeregisterAny(self, callbackID: int) -> None:
        """Forget a callback of secretEventRegisterAny."""
        self._event_deregister(
            "virConnectSecretEventDeregisterAny", "secretEventCallbackID", callbackID
        )

    # -- the end of the connection -------------------------------------------------------------

    def registerCloseCallback(self, cb: Callable[[virConnect, int, _T], None], opaque: _T) -> int:
        """Call `cb(conn, reason, opaque)` when the connection is lost.

        `reason` is one of VIR_CONNECT_CLOSE_REASON_….
        """
        data = {"cb": cb, "conn": self, "opaque": opaque}
        ret = libvirtmod.virConnectRegisterCloseCallback(self._o, data)
        if ret == -1:
            raise libvirtError("virConnectRegisterCloseCallback() failed")
        return ret  # type: ignore[no-any-return]

    def unregisterCloseCallback(self) -> None:
        """Forget the callback of registerCloseCallback."""
        if libvirtmod.virConnectUnregisterCloseCallback(self._o) == -1:
            raise libvirtError("virConnectUnregisterCloseCallback() failed")


virConnect.__module__ = "libvirt"
