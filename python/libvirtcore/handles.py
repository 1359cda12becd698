# SPDX-License-Identifier: LGPL-2.1-or-later
"""handles.py: the `_o` objects behind every libvirt class.

A handle names one object on one connection; it holds no state of the object itself. `wire` is the
tuple that the protocol's object structs decode to and encode from.
Called by: drivers (create them), libvirtcore.api (checks them), libvirtd dispatch.
Never: talks to a driver.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from libvirtcore.drivers.base import Driver


class Handle:
    """Base of all handles. Each holds one reference on its connection until `free`."""

    __slots__ = ("__weakref__", "_freed", "conn")
    kind: ClassVar[str] = ""

    def __init__(self, conn: ConnectHandle) -> None:
        self.conn = conn
        self._freed = False
        conn.refs.append(None)  # list.append and pop are atomic: a reference count without a lock

    @property
    def wire(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def free(self) -> None:
        """Give back the reference on the connection; further calls do nothing."""
        if not self._freed:
            self._freed = True
            self.conn.release()

    def __del__(self) -> None:
        if not getattr(self, "_freed", True):
            self._freed = True
            self.conn.release()


class ConnectHandle:
    """One open connection: its driver, URI and flags."""

    __slots__ = ("__weakref__", "closed", "driver", "private", "readonly", "refs", "uri")
    kind: ClassVar[str] = "connect"

    def __init__(self, driver: Driver, uri: str, readonly: bool = False) -> None:
        self.driver = driver
        self.uri = uri
        self.readonly = readonly
        self.refs: list[None] = [None]
        self.closed = False
        self.private: dict[str, Any] = {}  # per-connection data of api/ and events/

    @property
    def conn(self) -> ConnectHandle:
        return self

    @property
    def wire(self) -> tuple[Any, ...]:
        return ()

    def release(self) -> int:
        """Drop one reference; at the last one close the driver. Returns the references left."""
        refs = self.refs
        try:
            refs.pop()
        except IndexError:
            return 0
        left = len(refs)
        if left == 0 and not self.closed:
            self.closed = True
            self.driver.connect_close()
        return left


class DomainHandle(Handle):
    __slots__ = ("_wire", "name", "uuid")
    kind = "domain"

    def __init__(self, conn: ConnectHandle, name: str, uuid: bytes, id: int = -1) -> None:
        # As the base class does, written out: lists bring thousands of these.
        self.conn = conn
        self._freed = False
        conn.refs.append(None)
        self.name = name
        self.uuid = uuid
        self._wire = (name, uuid, id)

    @property
    def id(self) -> int:
        return self._wire[2]

    @id.setter
    def id(self, value: int) -> None:
        self._wire = (self.name, self.uuid, value)

    @property
    def wire(self) -> tuple[str, bytes, int]:
        return self._wire


class _NamedUuidHandle(Handle):
    __slots__ = ("name", "uuid", "wire")

    def __init__(self, conn: ConnectHandle, name: str, uuid: bytes) -> None:
        super().__init__(conn)
        self.name = name
        self.uuid = uuid
        self.wire = (name, uuid)  # type: ignore[misc]


class NetworkHandle(_NamedUuidHandle):
    __slots__ = ()
    kind = "network"


class StoragePoolHandle(_NamedUuidHandle):
    __slots__ = ()
    kind = "storage_pool"


class NWFilterHandle(_NamedUuidHandle):
    __slots__ = ()
    kind = "nwfilter"


class NetworkPortHandle(Handle):
    __slots__ = ("net", "uuid", "wire")
    kind = "network_port"

    def __init__(self, net: NetworkHandle, uuid: bytes) -> None:
        super().__init__(net.conn)
        self.net = net
        self.uuid = uuid
        self.wire = (net.wire, uuid)  # type: ignore[misc]


class InterfaceHandle(Handle):
    __slots__ = ("mac", "name", "wire")
    kind = "interface"

    def __init__(self, conn: ConnectHandle, name: str, mac: str) -> None:
        super().__init__(conn)
        self.name = name
        self.mac = mac
        self.wire = (name, mac)  # type: ignore[misc]


class StorageVolHandle(Handle):
    __slots__ = ("key", "name", "pool", "wire")
    kind = "storage_vol"

    def __init__(self, conn: ConnectHandle, pool: str, name: str, key: str) -> None:
        super().__init__(conn)
        self.pool = pool
        self.name = name
        self.key = key
        self.wire = (pool, name, key)  # type: ignore[misc]


class NodeDeviceHandle(Handle):
    __slots__ = ("name", "parent", "wire")
    kind = "node_device"

    def __init__(self, conn: ConnectHandle, name: str) -> None:
        super().__init__(conn)
        self.name = name
        self.parent: str | None = None
        self.wire = (name,)  # type: ignore[misc]


class SecretHandle(Handle):
    __slots__ = ("usage_id", "usage_type", "uuid", "wire")
    kind = "secret"

    def __init__(self, conn: ConnectHandle, uuid: bytes, usage_type: int, usage_id: str) -> None:
        super().__init__(conn)
        self.uuid = uuid
        self.usage_type = usage_type
        self.usage_id = usage_id
        self.wire = (uuid, usage_type, usage_id)  # type: ignore[misc]


class NWFilterBindingHandle(Handle):
    __slots__ = ("filtername", "portdev", "wire")
    kind = "nwfilter_binding"

    def __init__(self, conn: ConnectHandle, portdev: str, filtername: str) -> None:
        super().__init__(conn)
        self.portdev = portdev
        self.filtername = filtername
        self.wire = (portdev, filtername)  # type: ignore[misc]


class _DomainChildHandle(Handle):
    __slots__ = ("dom", "name")

    def __init__(self, dom: DomainHandle, name: str) -> None:
        super().__init__(dom.conn)
        self.dom = dom
        self.name = name

    @property
    def wire(self) -> tuple[Any, ...]:
        return (self.name, self.dom.wire)


class DomainCheckpointHandle(_DomainChildHandle):
    __slots__ = ()
    kind = "domain_checkpoint"


class DomainSnapshotHandle(_DomainChildHandle):
    __slots__ = ()
    kind = "domain_snapshot"


class StreamHandle(Handle):
    """A data stream. `impl` is the driver's half once a call has attached one."""

    __slots__ = ("flags", "impl")
    kind = "stream"

    def __init__(self, conn: ConnectHandle, flags: int = 0) -> None:
        super().__init__(conn)
        self.flags = flags
        self.impl: Any = None
