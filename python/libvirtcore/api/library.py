# SPDX-License-Identifier: LGPL-2.1-or-later
"""library.py: the door's functions that need no connection: version, last error, event loop.

Called by: libvirtmod.
Never: reports an error of its own as a call's, except where libvirt does.
"""

from __future__ import annotations

import sys

from libvirtcore import errors
from libvirtcore.api import args as arg
from libvirtcore.api.call import attempt
from libvirtcore.events import loop
from libvirtcore.generated.constants import VIR_FROM_NONE
from libvirtcore.handles import ConnectHandle
from libvirtcore.version import LIBRARY_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virConnGetLastError",
    "virConnResetLastError",
    "virEventAddHandle",
    "virEventAddTimeout",
    "virEventRegisterDefaultImpl",
    "virEventRegisterImpl",
    "virEventRemoveHandle",
    "virEventRemoveTimeout",
    "virEventRunDefaultImpl",
    "virEventUpdateHandle",
    "virEventUpdateTimeout",
    "virGetLastError",
    "virGetLastErrorCode",
    "virGetLastErrorDomain",
    "virGetLastErrorMessage",
    "virGetVersion",
    "virInitialize",
    "virRegisterErrorHandler",
    "virResetLastError",
]

# What a connection without any error says.
_NO_ERROR = (0, 0, None, 0, None, None, None, 0, 0)


def virInitialize() -> int:
    errors.reset_last_error()
    return 0


def virGetVersion(name: Any = None, /) -> Any:
    """The library's version; with a driver's name (library version, driver version)."""
    if arg.text(name, "virGetVersion", 1) is None:
        return LIBRARY_VERSION
    return LIBRARY_VERSION, LIBRARY_VERSION


# --- errors ---------------------------------------------------------------------------------------


def virGetLastError() -> errors.RawError | None:
    error = errors.last_error()
    return None if error is None else error.raw


def virGetLastErrorCode() -> int:
    error = errors.last_error()
    return 0 if error is None else error.code


def virGetLastErrorDomain() -> int:
    error = errors.last_error()
    return VIR_FROM_NONE if error is None else error.domain


def virGetLastErrorMessage() -> str:
    error = errors.last_error()
    return "no error" if error is None else error.message


def virResetLastError() -> None:
    errors.reset_last_error()


def virConnGetLastError(conn: Any, /) -> Any:
    """The last error of any call on this connection, in any thread; all zeros before the first."""
    if not isinstance(conn, ConnectHandle):
        return None
    error = conn.private.get("error")
    return _NO_ERROR if error is None else error.raw


def virConnResetLastError(conn: Any, /) -> None:
    if isinstance(conn, ConnectHandle):
        conn.private.pop("error", None)


def virRegisterErrorHandler(f: Any, ctx: Any, /) -> int:
    """Give every error to f(ctx, error); None as f restores printing."""
    errors.set_error_handler(f, ctx)
    return 1


# --- the event loop -------------------------------------------------------------------------------


def virEventRegisterImpl(
    addHandle: Any,
    updateHandle: Any,
    removeHandle: Any,
    addTimeout: Any,
    updateTimeout: Any,
    removeTimeout: Any,
    /,
) -> int:
    loop.register(addHandle, updateHandle, removeHandle, addTimeout, updateTimeout, removeTimeout)
    return 0


def virEventRegisterDefaultImpl() -> int:
    return attempt(-1, loop.register_default)  # type: ignore[no-any-return]


def virEventRunDefaultImpl() -> int:
    return attempt(-1, loop.run_default)  # type: ignore[no-any-return]


def virEventAddHandle(fd: Any, events: Any, cbData: Any, /) -> int:
    """Events go to `libvirt._dispatchEventHandleCallback`, as with libvirt-python."""

    def fire(watch: int, fd: int, events: int, data: Any) -> None:
        sys.modules["libvirt"]._dispatchEventHandleCallback(watch, fd, events, data)

    return loop.add_handle(arg.i32(fd), arg.i32(events), fire, cbData)


def virEventUpdateHandle(watch: Any, events: Any, /) -> None:
    loop.update_handle(arg.i32(watch), arg.i32(events))


def virEventRemoveHandle(watch: Any, /) -> int:
    return loop.remove_handle(arg.i32(watch))


def virEventAddTimeout(timeout: Any, cbData: Any, /) -> int:
    """Due timers go to `libvirt._dispatchEventTimeoutCallback`."""

    def fire(timer: int, data: Any) -> None:
        sys.modules["libvirt"]._dispatchEventTimeoutCallback(timer, data)

    return loop.add_timeout(arg.i32(timeout), fire, cbData)


def virEventUpdateTimeout(timer: Any, timeout: Any, /) -> None:
    loop.update_timeout(arg.i32(timer), arg.i32(timeout))


def virEventRemoveTimeout(timer: Any, /) -> int:
    return loop.remove_timeout(arg.i32(timer))
