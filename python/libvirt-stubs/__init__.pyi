# SPDX-License-Identifier: LGPL-2.1-or-later
"""__init__.pyi of libvirt-stubs: what `import libvirt` offers, for type checkers.

A module that is one file cannot be marked as typed (PEP 561), libvirtcore is; so this only says
where the names live.
"""

from types import TracebackType as TracebackType
from typing import Any

from libvirtcore.annotations import (
    _T as _T,
)
from libvirtcore.annotations import (
    _BlkioParameter as _BlkioParameter,
)
from libvirtcore.annotations import (
    _DomainCB as _DomainCB,
)
from libvirtcore.annotations import (
    _EventAddHandleFunc as _EventAddHandleFunc,
)
from libvirtcore.annotations import (
    _EventAddTimeoutFunc as _EventAddTimeoutFunc,
)
from libvirtcore.annotations import (
    _EventCB as _EventCB,
)
from libvirtcore.annotations import (
    _EventRemoveHandleFunc as _EventRemoveHandleFunc,
)
from libvirtcore.annotations import (
    _EventRemoveTimeoutFunc as _EventRemoveTimeoutFunc,
)
from libvirtcore.annotations import (
    _EventUpdateHandleFunc as _EventUpdateHandleFunc,
)
from libvirtcore.annotations import (
    _EventUpdateTimeoutFunc as _EventUpdateTimeoutFunc,
)
from libvirtcore.annotations import (
    _MemoryParameter as _MemoryParameter,
)
from libvirtcore.annotations import (
    _RawError as _RawError,
)
from libvirtcore.annotations import (
    _SchedParameter as _SchedParameter,
)
from libvirtcore.annotations import (
    _TimerCB as _TimerCB,
)
from libvirtcore.annotations import (
    _TypedParameter as _TypedParameter,
)
from libvirtcore.errors import (
    libvirtError as libvirtError,
)
from libvirtcore.events.loop import (
    _eventInvokeHandleCallback as _eventInvokeHandleCallback,
)
from libvirtcore.events.loop import (
    _eventInvokeTimeoutCallback as _eventInvokeTimeoutCallback,
)
from libvirtcore.events.loop import (
    virEventInvokeFreeCallback as virEventInvokeFreeCallback,
)
from libvirtcore.generated.constants import *  # noqa: F403
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

libvirtmod: Any
