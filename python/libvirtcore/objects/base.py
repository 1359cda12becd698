# SPDX-License-Identifier: LGPL-2.1-or-later
"""base.py: what every class around a handle shares: construction, identity, release.

Called by: objects.classes, objects.connect, objects.stream. Never: calls a driver.
"""

from __future__ import annotations

from libvirtcore.handles import ConnectHandle, Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.objects.connect import virConnect


def checked(obj: Any) -> Any:
    """A handle, and nothing else. Raises: Exception, as libvirt-python does."""
    if not isinstance(obj, (Handle, ConnectHandle)):
        raise Exception(f"Expected a wrapped C Object but got {type(obj)}")
    return obj


class Wrapper:
    """A libvirt object: `_conn` is its virConnect, `_o` its handle."""

    _conn: virConnect
    _o: Any

    def __init__(self, conn: virConnect, _obj: object = None) -> None:
        self._o = checked(_obj)
        self._conn = conn

    def __del__(self) -> None:
        """Give the handle back. An object whose construction failed has none."""
        handle = self.__dict__.get("_o")
        if handle is not None:
            self._o = None
            handle.free()

    def __copy__(self) -> Any:
        return self  # two objects must not give back one handle

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")

    def connect(self) -> virConnect:
        """Return the connection that this object came from."""
        return self._conn

    def c_pointer(self) -> object:
        """Return a number that identifies the underlying handle."""
        return id(self._o)
