# SPDX-License-Identifier: LGPL-2.1-or-later
"""base.py: what every driver is, besides one method per procedure (generated.driver_base).

One driver serves one connection. A method takes the fields that the procedure sends, in their
order, and returns those of its reply:

    object structs      handles, None where they are optional, lists of handles where counted
    other structs       tuples
    typed parameters    [(name, VIR_TYPED_PARAM_…, value)], returned also as {name: value}
    a stream            the StreamHandle, as last argument; the driver sets its `impl`
    descriptors sent    list of int, as last argument; the caller closes its own
    descriptors got     list of int, alone or after the other results; the caller owns them
    the result          None, the field's value, or a tuple of several fields

A failure is raised as VirError. Handles that come back bear `self.conn`.
Called by: libvirtcore.api, libvirtcore.events.
Never: records errors, checks read-only connections or knows the face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from libvirtcore.drivers.support import no_support
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_ARGUMENT_UNSUPPORTED,
    VIR_FROM_DOMAIN,
    VIR_MIGRATE_PEER2PEER,
)
from libvirtcore.generated.driver_base import DriverBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from libvirtcore.drivers.support import Params
    from libvirtcore.handles import ConnectHandle, DomainHandle, Handle, StreamHandle
    from libvirtcore.uri import Uri


class Driver(DriverBase):
    """One connection's driver. Subclasses override what they support."""

    name: ClassVar[str] = ""
    # What deregistering an unknown event callback says; %d is its number.
    event_unknown_message: ClassVar[str] = "could not find event callback %d for deletion"
    # Whether the other side can go away, so that a close callback makes sense.
    tells_close: ClassVar[bool] = False
    conn: ConnectHandle  # set once the connection is open

    @classmethod
    def connect_open(cls, uri: Uri | None, auth: Any, flags: int) -> Driver | None:
        """Open a connection, or return None when the URI is for another driver.

        `uri` is None when the user gave none and nothing is configured; `auth` is None or the
        list that libvirt.openAuth takes; `flags` are VIR_CONNECT_RO and VIR_CONNECT_NO_ALIASES.
        Raises: VirError when the URI is for this driver and opening it fails.
        """
        return None

    def connect_close(self) -> None:
        """Give everything back. Called once, by whichever thread drops the last reference."""

    # --- facts that cost no call ------------------------------------------------------------------

    def is_alive(self) -> bool:
        """Whether the other side is still there, as far as is known without asking it."""
        return True

    def is_secure(self) -> bool:
        """Whether nobody can listen in or change what is sent."""
        raise no_support("virConnectIsSecure", VIR_FROM_DOMAIN)

    def is_encrypted(self) -> bool:
        """Whether what is sent is encrypted."""
        raise no_support("virConnectIsEncrypted", VIR_FROM_DOMAIN)

    def get_uri(self) -> str:
        """The canonical URI of this connection."""
        return self.conn.uri

    def set_keepalive(self, interval: int, count: int) -> int:
        """Ask the other side for a sign of life; 1 when it cannot, 0 when it is done."""
        raise no_support("virConnectSetKeepAlive", VIR_FROM_DOMAIN)

    def supports_feature(self, feature: int) -> bool:
        """Whether the driver has one of the features that both sides negotiate."""
        return False

    # --- typed parameters -------------------------------------------------------------------------

    def with_types(self) -> Driver:
        """This driver, returning typed parameters as triples where it else makes dicts of them."""
        return self

    # --- events -----------------------------------------------------------------------------------

    def event_subscribe(self, family: str, event_id: Any, handle: Handle | None) -> object:
        """Start to queue events of this kind, of one object or of all; returns a token.

        Events go to `events.state.event_state(self.conn).queue`.
        """
        raise no_support("virConnectDomainEventRegisterAny", VIR_FROM_DOMAIN)

    def event_unsubscribe(self, token: object) -> None:
        """Undo event_subscribe."""

    # --- streams ----------------------------------------------------------------------------------

    def stream_new(self, handle: StreamHandle) -> None:
        """Prepare a stream on this connection; its `impl` comes with the call that opens it."""

    # --- migration --------------------------------------------------------------------------------

    def domain_migrate(
        self, dom: DomainHandle, dconn: ConnectHandle, params: Params, flags: int, function: str
    ) -> DomainHandle:
        """Move a domain to another open connection, both ends steered from here.

        `params` are VIR_MIGRATE_PARAM_…, also when the caller's function took plain arguments;
        those that were None are absent. `function` is the public function, one of virDomainMigrate,
        virDomainMigrate2 and virDomainMigrate3: which protocols may be used, and how errors name
        it, depends on it. Flags that contradict each other were refused before.
        """
        raise no_support(function, VIR_FROM_DOMAIN)

    def domain_migrate_to_uri(
        self, dom: DomainHandle, dconnuri: str | None, params: Params, flags: int, function: str
    ) -> None:
        """Have the source host move a domain by itself.

        With VIR_MIGRATE_PEER2PEER it connects to the daemon at `dconnuri`, else to the hypervisor
        at VIR_MIGRATE_PARAM_URI of `params`. `function` is one of virDomainMigrateToURI,
        virDomainMigrateToURI2 and virDomainMigrateToURI3.
        """
        way = "p2p" if flags & VIR_MIGRATE_PEER2PEER else "direct"
        raise report(
            VIR_ERR_ARGUMENT_UNSUPPORTED,
            VIR_FROM_DOMAIN,
            f"{way} migration is not supported by the source host",
        )


class Stream(Protocol):
    """The driver's half of an open stream, `StreamHandle.impl`."""

    def send(self, data: bytes) -> int:
        """Take some of the data; how many bytes, or -2 when a non-blocking stream would wait."""

    def recv(self, nbytes: int) -> bytes | int:
        """Some data, b"" at the end, or -2 when a non-blocking stream would wait."""

    def recv_flags(self, nbytes: int, flags: int) -> bytes | int:
        """The same, and -3 at a hole with VIR_STREAM_RECV_STOP_AT_HOLE."""

    def send_hole(self, length: int, flags: int) -> None:
        """Say that the next `length` bytes are zero."""

    def recv_hole(self, flags: int) -> int:
        """The length of the hole that recv_flags stopped at."""

    def finish(self) -> None:
        """Wait until the other side has taken everything, and close."""

    def abort(self) -> None:
        """Close without regard for what is still on its way."""

    def event_add_callback(self, events: int, deliver: Callable[[int], object]) -> None:
        """Call back, from the event loop, whenever the stream is ready for one of `events`."""

    def event_update_callback(self, events: int) -> None:
        """Wait for other events from now on."""

    def event_remove_callback(self) -> None:
        """Stop calling back."""

    def free(self) -> None:
        """Abort, unless it is finished; never raises."""
