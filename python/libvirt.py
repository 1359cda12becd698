# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt.py: the public module, name for name what libvirt-python 12.8 offers.

Called by: users. Never: holds code; constants, classes and functions live in libvirtcore, and
libvirt-stubs lists the same names for type checkers.
"""

from __future__ import annotations

import libvirtmod
from libvirtcore.errors import libvirtError as libvirtError
from libvirtcore.events.loop import (
    _eventInvokeHandleCallback as _eventInvokeHandleCallback,
    _eventInvokeTimeoutCallback as _eventInvokeTimeoutCallback,
    virEventInvokeFreeCallback as virEventInvokeFreeCallback,
)
from libvirtcore.generated.constants import *
from libvirtcore.generated.wrappers_libvirt import (
    getVersion as getVersion,
    virEventRegisterDefaultImpl as virEventRegisterDefaultImpl,
    virEventRemoveHandle as virEventRemoveHandle,
    virEventRemoveTimeout as virEventRemoveTimeout,
    virEventRunDefaultImpl as virEventRunDefaultImpl,
    virGetLastError as virGetLastError,
    virGetLastErrorCode as virGetLastErrorCode,
    virGetLastErrorDomain as virGetLastErrorDomain,
    virGetLastErrorMessage as virGetLastErrorMessage,
    virInitialize as virInitialize,
)
from libvirtcore.objects import (
    virConnect as virConnect,
    virDomain as virDomain,
    virDomainCheckpoint as virDomainCheckpoint,
    virDomainSnapshot as virDomainSnapshot,
    virInterface as virInterface,
    virNetwork as virNetwork,
    virNetworkPort as virNetworkPort,
    virNodeDevice as virNodeDevice,
    virNWFilter as virNWFilter,
    virNWFilterBinding as virNWFilterBinding,
    virSecret as virSecret,
    virStoragePool as virStoragePool,
    virStorageVol as virStorageVol,
    virStream as virStream,
)
from libvirtcore.objects.functions import (
    _dispatchEventHandleCallback as _dispatchEventHandleCallback,
    _dispatchEventTimeoutCallback as _dispatchEventTimeoutCallback,
    open as open,
    openAuth as openAuth,
    openReadOnly as openReadOnly,
    registerErrorHandler as registerErrorHandler,
    virEventAddHandle as virEventAddHandle,
    virEventAddTimeout as virEventAddTimeout,
    virEventRegisterImpl as virEventRegisterImpl,
    virEventUpdateHandle as virEventUpdateHandle,
    virEventUpdateTimeout as virEventUpdateTimeout,
    virResetLastError as virResetLastError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    """Names that type annotations of programs use; loaded when first asked for."""
    if name in _TYPE_NAMES:
        from importlib import import_module

        value = getattr(import_module(_TYPE_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'libvirt' has no attribute '{name}'")


_TYPE_NAMES = {
    "Any": "typing",
    "TracebackType": "types",
    "Callable": "typing",
    "Optional": "typing",
    "TypeVar": "typing",
    "Union": "typing",
    "overload": "typing",
    **dict.fromkeys(
        (
            "_T",
            "_BlkioParameter",
            "_DomainCB",
            "_EventAddHandleFunc",
            "_EventAddTimeoutFunc",
            "_EventCB",
            "_EventRemoveHandleFunc",
            "_EventRemoveTimeoutFunc",
            "_EventUpdateHandleFunc",
            "_EventUpdateTimeoutFunc",
            "_MemoryParameter",
            "_RawError",
            "_SchedParameter",
            "_TimerCB",
            "_TypedParameter",
        ),
        "libvirtcore.annotations",
    ),
}
