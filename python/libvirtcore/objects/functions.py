# SPDX-License-Identifier: LGPL-2.1-or-later
"""functions.py: the functions of `import libvirt` that are more than one call.

Called by: libvirt.py. Calls: libvirtmod. Never: knows drivers.
"""

from __future__ import annotations

import libvirtmod
from libvirtcore.errors import libvirtError
from libvirtcore.objects.connect import virConnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from libvirtcore.annotations import (
        _T,
        _EventAddHandleFunc,
        _EventAddTimeoutFunc,
        _EventCB,
        _EventRemoveHandleFunc,
        _EventRemoveTimeoutFunc,
        _EventUpdateHandleFunc,
        _EventUpdateTimeoutFunc,
        _RawError,
        _TimerCB,
    )

CallbackData: TypeAlias = "dict[str, Any]"


# -- connections -------------------------------------------------------------------------------


def open(name: str | None = None) -> virConnect:
    """Open a connection to the hypervisor at a URI; without one, to the configured default."""
    ret = libvirtmod.virConnectOpen(name)
    if ret is None:
        raise libvirtError("virConnectOpen() failed")
    return virConnect(_obj=ret)


def openReadOnly(name: str | None = None) -> virConnect:
    """Open a connection that can look but not change anything."""
    ret = libvirtmod.virConnectOpenReadOnly(name)
    if ret is None:
        raise libvirtError("virConnectOpenReadOnly() failed")
    return virConnect(_obj=ret)


def openAuth(uri: str | None, auth: list[Any], flags: int = 0) -> virConnect:
    """Open a connection with an authentication callback.

    `auth` is [credential types, callback, opaque]; the callback gets a list of
    [type, prompt, challenge, default, result], fills in the results and returns 0.
    """
    ret = libvirtmod.virConnectOpenAuth(uri, auth, flags)
    if ret is None:
        raise libvirtError("virConnectOpenAuth() failed")
    return virConnect(_obj=ret)


# -- errors ------------------------------------------------------------------------------------


def registerErrorHandler(f: Callable[[_T, _RawError], object] | None, ctx: _T) -> int:
    """Have every error given to `f(ctx, error)` instead of printed; None restores printing."""
    return libvirtmod.virRegisterErrorHandler(f, ctx)


def virResetLastError() -> None:
    """Forget the thread's last error."""
    libvirtmod.virResetLastError()


# -- the event loop ----------------------------------------------------------------------------


def virEventRegisterImpl(
    addHandle: _EventAddHandleFunc[Any],
    updateHandle: _EventUpdateHandleFunc,
    removeHandle: _EventRemoveHandleFunc,
    addTimeout: _EventAddTimeoutFunc[Any],
    updateTimeout: _EventUpdateTimeoutFunc,
    removeTimeout: _EventRemoveTimeoutFunc,
) -> None:
    """Choose the program's own event loop, before connections are opened.

    The loop calls back `callback(watch, fd, events, opaque)` and `callback(timer, opaque)` with the
    callback and opaque value it was given, and virEventInvokeFreeCallback(opaque) after a removal.
    """
    libvirtmod.virEventRegisterImpl(
        addHandle, updateHandle, removeHandle, addTimeout, updateTimeout, removeTimeout
    )


def virEventAddHandle(fd: int, events: int, cb: _EventCB[_T], opaque: _T) -> int:
    """Call `cb(watch, fd, events, opaque)` on events (VIR_EVENT_HANDLE_…) of a descriptor."""
    ret = libvirtmod.virEventAddHandle(fd, events, {"cb": cb, "opaque": opaque})
    if ret == -1:
        raise libvirtError("virEventAddHandle() failed")
    return ret


def virEventAddTimeout(timeout: int, cb: _TimerCB[_T], opaque: _T) -> int:
    """Call `cb(timer, opaque)` every `timeout` ms; 0 in each iteration, -1 not at all."""
    ret = libvirtmod.virEventAddTimeout(timeout, {"cb": cb, "opaque": opaque})
    if ret == -1:
        raise libvirtError("virEventAddTimeout() failed")
    return ret


def virEventUpdateHandle(watch: int, events: int) -> None:
    """Change the events a descriptor is watched for; 0 pauses it."""
    libvirtmod.virEventUpdateHandle(watch, events)


def virEventUpdateTimeout(timer: int, timeout: int) -> None:
    """Change the interval of a timer; -1 pauses it."""
    libvirtmod.virEventUpdateTimeout(timer, timeout)


def _dispatchEventHandleCallback(watch: int, fd: int, events: int, cbData: CallbackData) -> int:
    """Call the callback of virEventAddHandle."""
    cbData["cb"](watch, fd, events, cbData["opaque"])
    return 0


def _dispatchEventTimeoutCallback(timer: int, cbData: CallbackData) -> int:
    """Call the callback of virEventAddTimeout."""
    cbData["cb"](timer, cbData["opaque"])
    return 0
