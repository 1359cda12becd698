# SPDX-License-Identifier: LGPL-2.1-or-later
"""errors.py: how a failure is raised, remembered per thread, shown, and turned into libvirtError.

Drivers and the core raise VirError. libvirtcore.api keeps it as the thread's last error and shows
it; wrappers raise libvirtError, which reads it back. One exception class per code lives in
libvirtcore.exceptions.
Called by: every room. Calls: libvirtcore.error_texts.
Never: raises from the handler that shows an error.
"""

from __future__ import annotations

import sys
from _thread import _local as local

from libvirtcore.error_texts import DOMAINS, LEVELS, TEXTS
from libvirtcore.generated.constants import (
    VIR_ERR_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_NO_SUPPORT,
    VIR_ERR_RPC,
    VIR_FROM_REMOTE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

# What libvirt-python hands out: code, domain, message, level, str1, str2, str3, int1, int2.
RawError = tuple[int, int, str, int, str | None, str | None, str | None, int, int]
ErrorHandler: TypeAlias = "Callable[[Any, RawError], object]"


class VirError(Exception):
    """A failure with libvirt's code and domain; `str1` and `str2` are template and detail."""

    def __init__(
        self,
        code: int,
        domain: int,
        message: str,
        level: int = VIR_ERR_ERROR,
        str1: str | None = None,
        str2: str | None = None,
        str3: str | None = None,
        int1: int = -1,
        int2: int = -1,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.domain = domain
        self.message = message
        self.level = level
        self.str1 = str1
        self.str2 = str2
        self.str3 = str3
        self.int1 = int1
        self.int2 = int2

    @classmethod
    def from_wire(cls, fields: tuple[Any, ...]) -> VirError:
        """The error of a reply: code, domain, message, level, dom, str1-3, int1, int2, net."""
        code, domain, message, level, _dom, str1, str2, str3, int1, int2, _net = fields
        if message is None:
            message = "Unknown error"
        elif (
            code == VIR_ERR_RPC
            and domain == VIR_FROM_REMOTE
            and level == VIR_ERR_ERROR
            and message.startswith("unknown procedure: ")
        ):
            code = VIR_ERR_NO_SUPPORT  # what an old daemon means by it
        return cls(code, domain, message, level, str1, str2, str3, int1, int2)

    def to_wire(self) -> tuple[Any, ...]:
        """The fields of a reply that carries this error."""
        return (
            self.code, self.domain, self.message, self.level, None,
            self.str1, self.str2, self.str3, self.int1, self.int2, None,
        )  # fmt: skip

    @property
    def raw(self) -> RawError:
        """The tuple libvirt-python shows."""
        return (
            self.code, self.domain, self.message, self.level,
            self.str1, self.str2, self.str3, self.int1, self.int2,
        )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return (VirError, self.raw)


def report(code: int, domain: int, detail: str = "") -> VirError:
    """The error of a code, worded as libvirt words it, with or without a detail."""
    bare, detailed = TEXTS.get(code, ("unknown error", "unknown error: %s"))
    if not detail:
        return VirError(code, domain, bare, str1=bare)
    return VirError(code, domain, detailed.replace("%s", detail, 1), str1=detailed, str2=detail)


def invalid_argument(function: str, argument: str, message: str, domain: int) -> VirError:
    """The error of a bad argument: its message stands alone, str1 and str2 say where and which."""
    return VirError(
        VIR_ERR_INVALID_ARG, domain, message, str1=function, str2=argument, int1=0, int2=0
    )


# --- the last error of a thread -------------------------------------------------------------------


class _Thread(local):
    error: VirError | None = None


thread = _Thread()


def last_error() -> VirError | None:
    """What the last call of this thread failed with, None if it did not."""
    return thread.error


def reset_last_error() -> None:
    """Forget the last error of this thread."""
    thread.error = None


def set_last_error(error: VirError) -> None:
    """Make `error` the last one of this thread, without showing it."""
    error.__traceback__ = None  # the frames of the driver would keep objects alive
    error.__context__ = None
    thread.error = error


# --- showing --------------------------------------------------------------------------------------


_handler: tuple[ErrorHandler | None, Any] = (None, None)


def set_error_handler(handler: ErrorHandler | None, context: Any = None) -> None:
    """Have every error given to `handler(context, raw)`; None restores printing."""
    global _handler
    _handler = (handler, context)


def dispatch(error: VirError) -> None:
    """Record an error as this thread's last one and show it, as each failing public call does."""
    set_last_error(error)
    handler, context = _handler
    if handler is None:
        print_error(error)
        return
    try:
        handler(context, error.raw)
    except Exception:
        import traceback

        traceback.print_exc()


def print_error(error: VirError) -> None:
    """Write an error to stderr the way libvirt does by default."""
    stream = sys.stderr
    if stream is None:
        return
    domain = DOMAINS[error.domain] if 0 <= error.domain < len(DOMAINS) else "Unknown"
    level = LEVELS.get(error.level, "")
    end = "" if error.message.endswith("\n") else "\n"
    try:
        stream.write(f"libvirt: {domain} {level} : {error.message}{end}")
        stream.flush()
    except (OSError, ValueError):
        return  # a closed stderr must not hide the error itself


# --- what users catch -----------------------------------------------------------------------------


class libvirtError(Exception):  # the public name
    """A failed call. `err` is the last error of the thread that made it, None if there was none.

    Calling it gives an instance of the subclass for the error's code, if the code has one.
    """

    code: int = 0
    err: RawError | None
    _by_code: dict[int, type[libvirtError]] = {}  # noqa: RUF012 (filled by __init_subclass__)

    def __init_subclass__(cls) -> None:
        if "code" in cls.__dict__:
            libvirtError._by_code[cls.code] = cls

    def __new__(cls, *args: Any, **kwargs: Any) -> libvirtError:
        error = thread.error
        if cls is libvirtError and error is not None:
            if not libvirtError._by_code:
                import libvirtcore.exceptions
            kind: type[libvirtError] = libvirtError._by_code.get(error.code, cls)
            return Exception.__new__(kind, *args)
        return Exception.__new__(cls, *args)

    def __init__(self, defmsg: str) -> None:
        error = thread.error
        self.err = None if error is None else error.raw
        super().__init__(defmsg if self.err is None else self.err[2])

    def get_error_code(self) -> int | None:
        """The number of the error, one of VIR_ERR_…"""
        return None if self.err is None else self.err[0]

    def get_error_domain(self) -> int | None:
        """Which part reported it, one of VIR_FROM_…"""
        return None if self.err is None else self.err[1]

    def get_error_message(self) -> str | None:
        """The whole message."""
        return None if self.err is None else self.err[2]

    def get_error_level(self) -> int | None:
        """VIR_ERR_WARNING or VIR_ERR_ERROR."""
        return None if self.err is None else self.err[3]

    def get_str1(self) -> str | None:
        """The template of the message, or the function an argument was wrong for."""
        return None if self.err is None else self.err[4]

    def get_str2(self) -> str | None:
        """The detail of the message, or the name of the wrong argument."""
        return None if self.err is None else self.err[5]

    def get_str3(self) -> str | None:
        """More text, if the driver gave any."""
        return None if self.err is None else self.err[6]

    def get_int1(self) -> int | None:
        """A number, if the driver gave any; for system errors the errno."""
        return None if self.err is None else self.err[7]

    def get_int2(self) -> int | None:
        """A second number, if the driver gave any."""
        return None if self.err is None else self.err[8]


libvirtError.__module__ = "libvirt"  # where users know it from: tracebacks, pickle
