# SPDX-License-Identifier: LGPL-2.1-or-later
"""serving.py: what the daemon's generated rows rest on: bounds of counts, lists and parameters.

Clients of the wire say how much room they have for an answer, and old ones cannot read parameters
that are text; drivers know neither.
Called by: generated.dispatch_*, libvirtd. Never: knows a procedure, or how an answer travels.
"""

from __future__ import annotations

import os

from libvirtcore.drivers.wire import STRINGS
from libvirtcore.errors import VirError, invalid_argument, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_RPC,
    VIR_FROM_RPC,
    VIR_TYPED_PARAM_STRING,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from libvirtcore.api.call import Row
    from libvirtcore.handles import ConnectHandle, StreamHandle

    class Session(Protocol):
        """What a row needs of the client whose call it serves."""

        @property
        def conn(self) -> ConnectHandle:
            """The client's connection."""

        def new_stream(self) -> StreamHandle:
            """A stream for a driver to open."""

        def stream_opened(
            self, worker: Any, stream: StreamHandle, sends: bool, value: tuple[Any, ...] | None
        ) -> Any:
            """Answer the call and let the data flow; `sends`: from the driver to the client."""

        def send_descriptors(
            self, worker: Any, value: tuple[Any, ...] | None, fds: Sequence[int]
        ) -> Any:
            """Answer the call and hand over descriptors."""


class received:  # used in a with statement, where lower case reads better
    """The descriptors that came with a call, open while it is served; a handler keeps copies."""

    __slots__ = ("fds",)

    def __init__(self, worker: Any) -> None:
        self.fds: list[int] = worker.fds

    def __enter__(self) -> list[int]:
        return list(self.fds)

    def __exit__(self, *_error: object) -> None:
        for fd in self.fds:
            os.close(fd)


def refuse(detail: str) -> VirError:
    """What a daemon says of a request that no client of its kind makes."""
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, detail)


def refuse_message(message: str) -> VirError:
    """The same where libvirt's generated code says it: the message stands alone."""
    return VirError(VIR_ERR_RPC, VIR_FROM_RPC, message, str1="%s", str2=message)


def check_count(count: int, limit: int, fault: str) -> None:
    """Refuse to make room for more than the protocol can carry. Raises: VirError."""
    if count > limit:
        raise refuse(fault)


def check_names(count: int, limit: int, name: str, limit_name: str) -> None:
    """The same for lists of names and numbers. Raises: VirError."""
    if count > limit:
        raise refuse_message(f"{name} > {limit_name}")
    if count < 0:
        raise refuse_message(f"{name} must be non-negative")


def check_params(count: int, limit: int, row: Row | None) -> None:
    """The same for typed parameters; with a row, there must be room for one. Raises: VirError."""
    if count > limit:
        raise refuse("nparams too large")
    if count < 0:
        raise refuse("nparams must be non-negative")
    if row is not None and count == 0:
        message = f"params in {row.name} must not be NULL"
        raise invalid_argument(row.name, "params", message, row.domain)


def listed(items: list[Any], limit: int, name: str) -> list[Any]:
    """A list that the protocol can carry. Raises: VirError."""
    if len(items) > limit:
        raise refuse(f"Too many {name} '{len(items)}' for limit '{limit}'")
    return items


def ended(text: bytes) -> bytes:
    """Characters as libvirt sends them: with the NUL that ends them."""
    return text if text.endswith(b"\0") else text + b"\0"


def sent_params(params: list[Any], room: int, flags: int) -> list[Any]:
    """The parameters that a client has room for and can read."""
    return [one for one in params[:room] if flags & STRINGS or one[1] != VIR_TYPED_PARAM_STRING]


def sent_counted(answer: tuple[list[Any], int], room: int, flags: int) -> tuple[list[Any], int]:
    """The same, and their number for a client without room for any; others are told 0."""
    params, _count = answer
    if room == 0:
        return [], len(params)
    return sent_params(params, room, flags), 0
