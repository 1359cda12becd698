# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt.py: the public module, name for name what libvirt-python 12.8 offers.

Called by: users. Never: holds code; constants, classes and functions live in libvirtcore, and
libvirt-stubs lists the same names for type checkers.
"""

from __future__ import annotations

from os import environ as _environ

import libvirtmod
from libvirtcore.errors import libvirtError as libvirtError
from libvirtcore.events.loop import (
    _eventInvokeHandleCallback as _eventInvokeHandleCallback,
)
from libvirtcore.events.loop import (
    _eventInvokeTimeoutCallback as _eventInvokeTimeoutCallback,
)
from libvirtcore.events.loop import (
    virEventInvokeFreeCallback as virEventInvokeFreeCallback,
)
from libvirtcore.generated.constants import *
from libvirtcore.generated.wrappers_libvirt import (
    getVersion as getVersion,
)
from libvirtcore.generated.wrappers_libvirt import (
    virEventRegisterDefaultImpl as virEventRegisterDefaultImpl,
)
from libvirtcore.generated.wrappers_libvirt import (
    virEventRemoveHandle as virEventRemoveHandle,
)
from libvirtcore.generated.wrappers_libvirt import (
    virEventRemoveTimeout as virEventRemoveTimeout,
)
from libvirtcore.generated.wrappers_libvirt import (
    virEventRunDefaultImpl as virEventRunDefaultImpl,
)
from libvirtcore.generated.wrappers_libvirt import (
    virGetLastError as virGetLastError,
)
from libvirtcore.generated.wrappers_libvirt import (
    virGetLastErrorCode as virGetLastErrorCode,
)
from libvirtcore.generated.wrappers_libvirt import (
    virGetLastErrorDomain as virGetLastErrorDomain,
)
from libvirtcore.generated.wrappers_libvirt import (
    virGetLastErrorMessage as virGetLastErrorMessage,
)
from libvirtcore.generated.wrappers_libvirt import (
    virInitialize as virInitialize,
)
from libvirtcore.objects import (
    virConnect as virConnect,
)
from libvirtcore.objects import (
    virDomain as virDomain,
)
from libvirtcore.objects import (
    virDomainCheckpoint as virDomainCheckpoint,
)
from libvirtcore.objects import (
    virDomainSnapshot as virDomainSnapshot,
)
from libvirtcore.objects import (
    virInterface as virInterface,
)
from libvirtcore.objects import (
    virNetwork as virNetwork,
)
from libvirtcore.objects import (
    virNetworkPort as virNetworkPort,
)
from libvirtcore.objects import (
    virNodeDevice as virNodeDevice,
)
from libvirtcore.objects import (
    virNWFilter as virNWFilter,
)
from libvirtcore.objects import (
    virNWFilterBinding as virNWFilterBinding,
)
from libvirtcore.objects import (
    virSecret as virSecret,
)
from libvirtcore.objects import (
    virStoragePool as virStoragePool,
)
from libvirtcore.objects import (
    virStorageVol as virStorageVol,
)
from libvirtcore.objects import (
    virStream as virStream,
)
from libvirtcore.objects.functions import (
    _dispatchEventHandleCallback as _dispatchEventHandleCallback,
)
from libvirtcore.objects.functions import (
    _dispatchEventTimeoutCallback as _dispatchEventTimeoutCallback,
)
from libvirtcore.objects.functions import (
    open as open,
)
from libvirtcore.objects.functions import (
    openAuth as openAuth,
)
from libvirtcore.objects.functions import (
    openReadOnly as openReadOnly,
)
from libvirtcore.objects.functions import (
    registerErrorHandler as registerErrorHandler,
)
from libvirtcore.objects.functions import (
    virEventAddHandle as virEventAddHandle,
)
from libvirtcore.objects.functions import (
    virEventAddTimeout as virEventAddTimeout,
)
from libvirtcore.objects.functions import (
    virEventRegisterImpl as virEventRegisterImpl,
)
from libvirtcore.objects.functions import (
    virEventUpdateHandle as virEventUpdateHandle,
)
from libvirtcore.objects.functions import (
    virEventUpdateTimeout as virEventUpdateTimeout,
)
from libvirtcore.objects.functions import (
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

if "LIBVIRTCORE_TRACE" in _environ:
    from libvirtcore.trace import start_from_environment as _start_trace

    _start_trace("libvirtcore.drivers.remote.driver")
