# SPDX-License-Identifier: LGPL-2.1-or-later
"""annotations.py: the types that signatures of the public modules name.

Called by: generated.wrappers_*, libvirtcore.objects, the public modules.
Never: holds behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from libvirtcore.errors import RawError

if TYPE_CHECKING:
    from libvirtcore.objects import virConnect, virDomain

_T = TypeVar("_T")

# Typed parameters by name; a setter also takes a list where a name may come several times.
_TypedParameter: TypeAlias = dict[str, Any]

# code, domain, message, level, str1, str2, str3, int1, int2
_RawError: TypeAlias = RawError

_EventCB: TypeAlias = Callable[[int, int, int, _T], None]  # watch, fd, events, opaque
_TimerCB: TypeAlias = Callable[[int, _T], None]  # timer, opaque
_EventAddHandleFunc: TypeAlias = Callable[[int, int, _EventCB[_T], _T], int]
_EventUpdateHandleFunc: TypeAlias = Callable[[int, int], None]
_EventRemoveHandleFunc: TypeAlias = Callable[[int], int]
_EventAddTimeoutFunc: TypeAlias = Callable[[int, _TimerCB[_T], _T], int]
_EventUpdateTimeoutFunc: TypeAlias = Callable[[int, int], None]
_EventRemoveTimeoutFunc: TypeAlias = Callable[[int], int]
_DomainCB: TypeAlias = Callable[["virConnect", "virDomain", int, int, _T], int | None]

# The same, by the group of keys that a setter takes.
_BlkioParameter: TypeAlias = _TypedParameter
_MemoryParameter: TypeAlias = _TypedParameter
_SchedParameter: TypeAlias = _TypedParameter
