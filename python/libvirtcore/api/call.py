# SPDX-License-Identifier: LGPL-2.1-or-later
"""call.py: the one way every public call goes, and the facts of a call it needs.

    forget the last error → is the object alive → may a read-only connection → are the arguments
    possible → the driver's method → what it does to the object → record an error

`perform` takes and returns what drivers do, and raises; the daemon uses it. `call` is for the door:
it records the error, returns the failure value, and gives results the shape Python users know.
Called by: generated.door_*, libvirtcore.api, libvirtd. Calls: drivers (through handles).
Never: knows a single API; those facts are the rows of generated.api_table, checks and effects.
"""

from __future__ import annotations

from libvirtcore.api.checks import CHECKS, Check, is_object, missing, not_read_only, uuid
from libvirtcore.api.effects import EFFECTS
from libvirtcore.errors import VirError, dispatch, report, thread
from libvirtcore.generated import constants as c
from libvirtcore.handles import (
    ConnectHandle,
    DomainCheckpointHandle,
    DomainHandle,
    DomainSnapshotHandle,
    Handle,
    InterfaceHandle,
    NetworkHandle,
    NetworkPortHandle,
    NodeDeviceHandle,
    NWFilterBindingHandle,
    NWFilterHandle,
    SecretHandle,
    StoragePoolHandle,
    StorageVolHandle,
    StreamHandle,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

Shape: TypeAlias = "Callable[[Any], Any]"

# Kind of object → its handle, and the code and domain of the error when it is none. Domain 0
# stands for the domain of the called function.
KINDS: dict[str, tuple[type[Any], int, int]] = {
    "connect": (ConnectHandle, c.VIR_ERR_INVALID_CONN, 0),
    "domain": (DomainHandle, c.VIR_ERR_INVALID_DOMAIN, c.VIR_FROM_DOM),
    "domain_checkpoint": (
        DomainCheckpointHandle,
        c.VIR_ERR_INVALID_DOMAIN_CHECKPOINT,
        c.VIR_FROM_DOMAIN_CHECKPOINT,
    ),
    "domain_snapshot": (
        DomainSnapshotHandle,
        c.VIR_ERR_INVALID_DOMAIN_SNAPSHOT,
        c.VIR_FROM_DOMAIN_SNAPSHOT,
    ),
    "interface": (InterfaceHandle, c.VIR_ERR_INVALID_INTERFACE, c.VIR_FROM_INTERFACE),
    "network": (NetworkHandle, c.VIR_ERR_INVALID_NETWORK, c.VIR_FROM_NETWORK),
    "network_port": (NetworkPortHandle, c.VIR_ERR_INVALID_NETWORK_PORT, c.VIR_FROM_NETWORK),
    "node_device": (NodeDeviceHandle, c.VIR_ERR_INVALID_NODE_DEVICE, c.VIR_FROM_NODEDEV),
    "nwfilter": (NWFilterHandle, c.VIR_ERR_INVALID_NWFILTER, c.VIR_FROM_NWFILTER),
    "nwfilter_binding": (
        NWFilterBindingHandle,
        c.VIR_ERR_INVALID_NWFILTER_BINDING,
        c.VIR_FROM_NWFILTER,
    ),
    "secret": (SecretHandle, c.VIR_ERR_INVALID_SECRET, c.VIR_FROM_SECRET),
    "storage_pool": (StoragePoolHandle, c.VIR_ERR_INVALID_STORAGE_POOL, c.VIR_FROM_STORAGE),
    "storage_vol": (StorageVolHandle, c.VIR_ERR_INVALID_STORAGE_VOL, c.VIR_FROM_STORAGE),
    "stream": (StreamHandle, c.VIR_ERR_INVALID_STREAM, c.VIR_FROM_STREAMS),
}


class Row:
    """The facts of one public function."""

    __slots__ = (
        "checks", "domain", "effect", "failure", "guards", "handle", "kind", "method", "name",
        "plain", "shape", "writes",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        method: str,
        kind: str,
        domain: int,
        failure: Any = None,
        *,
        writes: bool = False,
        required: tuple[tuple[int, str], ...] = (),
        uuids: tuple[tuple[int, str], ...] = (),
        objects: tuple[tuple[int, str], ...] = (),
        guards: tuple[tuple[int, int, bool, bool], ...] = (),
        shape: Shape | None = None,
    ) -> None:
        self.name = name
        self.method = method  # of the driver, "" for functions that need none
        self.kind = kind
        self.domain = domain
        self.failure = failure
        self.writes = writes
        self.shape = shape
        self.handle: type[Any] = KINDS[kind][0]
        self.checks: tuple[Check, ...] = CHECKS.get(name, ())
        if objects or required or uuids:
            self.checks = (
                *(is_object(index, *KINDS[kind]) for index, kind in objects),
                *(missing(index, argument) for index, argument in required),
                *(uuid(index, argument) for index, argument in uuids),
                *self.checks,
            )
        self.guards: tuple[Check, ...] = tuple(not_read_only(*guard) for guard in guards)
        self.effect = EFFECTS.get(method)
        # A live object on a writable connection is all that `admit` asks for.
        self.plain = kind != "connect" and not self.checks


def done(_value: None) -> int:
    """The shape of a call that returns nothing: libvirt says 0."""
    return 0


def perform(row: Row, handle: Any, *args: Any) -> Any:
    """Make a call on a driver. Raises: VirError."""
    driver = admit(row, handle, args)
    if row.kind == "connect":
        return getattr(driver, row.method)(*args)
    value = getattr(driver, row.method)(handle, *args)
    if row.effect is not None:
        row.effect(handle, value)
    return value


def call(row: Row, handle: Any, *args: Any) -> Any:
    """Make a call for the door: the shaped result, or the failure value with the error recorded."""
    thread.error = None
    try:
        # As `perform`, written out: nearly every call comes this way.
        if row.plain and handle.__class__ is row.handle and not handle._freed:
            conn = handle.conn
            driver = admit(row, handle, args) if conn.readonly else conn.driver
            value = getattr(driver, row.method)(handle, *args)
        else:
            method = getattr(admit(row, handle, args), row.method)
            value = method(*args) if row.kind == "connect" else method(handle, *args)
        if row.effect is not None:
            row.effect(handle, value)
        shape = row.shape
        return value if shape is None else shape(value)
    except VirError as error:
        fail(handle, error)
        return row.failure


def run(row: Row, body: Callable[..., Any], handle: Any, *args: Any) -> Any:
    """Make a call for the door that takes more than one method: `body(driver, handle, *args)`."""
    thread.error = None
    try:
        return body(admit(row, handle, args), handle, *args)
    except VirError as error:
        fail(handle, error)
        return row.failure


def fail(handle: Any, error: VirError) -> None:
    """Record an error for the thread and the connection, and show it."""
    conn = getattr(handle, "conn", None)
    if conn is not None:
        conn.private["error"] = error
    dispatch(error)


def attempt(failure: Any, body: Callable[..., Any], *args: Any) -> Any:
    """Make a call for the door that has no object: `body(*args)`."""
    thread.error = None
    try:
        return body(*args)
    except VirError as error:
        dispatch(error)
        return failure


def admit(row: Row, handle: Any, args: tuple[Any, ...] = ()) -> Any:
    """The driver of a live handle on a connection that allows the call. Raises: VirError."""
    if handle.__class__ is not row.handle:
        raise bad_handle(row, handle)
    if row.kind == "connect":
        conn = handle
        if handle.closed:
            raise bad_handle(row, handle)
    else:
        if handle._freed:
            raise bad_handle(row, handle)
        conn = handle.conn
    if conn.readonly:
        if row.writes:
            raise report(
                c.VIR_ERR_OPERATION_DENIED, row.domain, f"read only access prevents {row.name}"
            )
        for guard in row.guards:
            guard(row, handle, args)
    for check in row.checks:
        check(row, handle, args)
    return conn.driver


def bad_handle(row: Row, handle: Any, kind: str = "") -> Exception:
    """What to raise for an object that is gone, absent, or not of the kind a call takes."""
    if handle is not None and not isinstance(handle, (Handle, ConnectHandle)):
        return TypeError(f"{row.name}() takes a handle, not {type(handle).__name__}")
    _, code, domain = KINDS[kind or row.kind]
    return report(code, domain or row.domain, row.name)


def argument(row: Row, kind: str, handle: Any) -> Any:
    """An object that is not the one the call is made on. Raises: VirError."""
    if handle.__class__ is not KINDS[kind][0] or (
        handle.closed if kind == "connect" else handle._freed
    ):
        raise bad_handle(row, handle, kind)
    return handle
