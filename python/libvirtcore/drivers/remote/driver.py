# SPDX-License-Identifier: LGPL-2.1-or-later
"""driver.py: a connection to a daemon: opening it, calling over it, closing it.

    URI → options → transport → authentication → connect_open → calls

The calls themselves are the generated rows; they end in `_call`.
Called by: drivers.registry (open), libvirtcore.api and libvirtcore.events (everything else).
Calls: options, transport, auth, the RPC client; pipeline and deadline for how a call is made.
Never: judges what a daemon answers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from libvirtcore import settings
from libvirtcore.deadline import moment, remaining
from libvirtcore.drivers.base import Driver
from libvirtcore.drivers.remote import auth as authentication
from libvirtcore.drivers.remote.events import EventsMixin
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.migrate import MigrateMixin
from libvirtcore.drivers.remote.options import Options, understand
from libvirtcore.drivers.remote.streams import StreamsMixin
from libvirtcore.drivers.remote.transport import dial
from libvirtcore.drivers.wire import LXC, QEMU, REMOTE, STRINGS
from libvirtcore.errors import VirError, report
from libvirtcore.events.loop import registered
from libvirtcore.generated import constants as c
from libvirtcore.generated import limits
from libvirtcore.generated.remote_domain import RemoteDomain
from libvirtcore.generated.remote_host import RemoteHost
from libvirtcore.generated.remote_hypervisor import RemoteHypervisor
from libvirtcore.generated.remote_interface import RemoteInterface
from libvirtcore.generated.remote_migrate import RemoteMigrate
from libvirtcore.generated.remote_network import RemoteNetwork
from libvirtcore.generated.remote_nodedev import RemoteNodedev
from libvirtcore.generated.remote_nwfilter import RemoteNwfilter
from libvirtcore.generated.remote_secret import RemoteSecret
from libvirtcore.generated.remote_snapshot import RemoteSnapshot
from libvirtcore.generated.remote_storage import RemoteStorage
from libvirtcore.pipeline import current
from libvirtcore.rpc import Client
from libvirtcore.uri import Uri

if TYPE_CHECKING:
    from libvirtcore.drivers.support import ParamValues
    from libvirtcore.handles import ConnectHandle, DomainHandle, NetworkPortHandle, StreamHandle

_OPEN, _CLOSE, _GET_TYPE, _SUPPORTS_FEATURE = 1, 2, 3, 60  # procedures
_GET_URI, _IS_SECURE, _RENAME, _PORT_PARAMETERS = 110, 149, 358, 407
_FEATURE_REMOTE = 2  # answered here
_FEATURE_KEEPALIVE = 10
_FEATURE_EVENT_CALLBACK = 14
_FEATURE_CLOSE_CALLBACK = 15
_CLOSE_SECONDS = 5.0  # how long a daemon may take to say goodbye
_BROKEN = ("Cannot recv data: ", "Cannot write data: ", "End of file while reading data: ")


class RemoteDriver(
    MigrateMixin, StreamsMixin, EventsMixin, RemoteDomain, RemoteHost, RemoteHypervisor,
    RemoteInterface, RemoteMigrate, RemoteNetwork, RemoteNodedev, RemoteNwfilter, RemoteSecret,
    RemoteSnapshot, RemoteStorage, Driver,
):  # fmt: skip
    """One connection to one daemon."""

    name = "remote"

    def __init__(self, link: Link) -> None:
        self.default_timeout: float | None = None
        self.link = link
        self._process = os.getpid()
        try:
            self.client = Client(link.fd)
        except BaseException:
            os.close(link.fd)
            link.close()
            raise
        self._request = self.client.call
        self._features: dict[int, bool] = {_FEATURE_REMOTE: True}
        self._type = ""
        self._uri = ""

    # --- opening ----------------------------------------------------------------------------------

    @classmethod
    def connect_open(cls, uri: Uri | None, auth: Any, flags: int) -> RemoteDriver:
        """Reach the daemon that the URI means and have it open the URI.

        Raises: VirError, with the words of ssh if that is what failed.
        """
        conf = settings.load()
        options = understand(uri, bool(flags & c.VIR_CONNECT_RO), conf)
        driver = cls(dial(options))
        try:
            driver._open(options, uri, auth, flags)
        except BaseException:
            driver.client.close()
            driver.link.close()
            raise
        return driver

    def _open(self, options: Options, uri: Uri | None, auth: Any, flags: int) -> None:
        authentication.authenticate(self._call, self.link, options, auth)
        if registered() is not None:
            self.supports_feature(_FEATURE_KEEPALIVE)  # asking switches the daemon's probes on
        self._call(_OPEN, (options.name, flags))
        self._uri = str(uri) if uri is not None else self._call(_GET_URI)[0]
        self._learn_features(_FEATURE_EVENT_CALLBACK, _FEATURE_CLOSE_CALLBACK)

    def _learn_features(self, *features: int) -> None:
        """Ask about several at once."""
        asked = [(f, self.submit(REMOTE, _SUPPORTS_FEATURE, (f,))) for f in features]
        for feature, serial in asked:
            try:
                self._features[feature] = bool(self.wait(serial)[0])
            except VirError:
                self._features[feature] = False

    @property
    def conn(self) -> ConnectHandle:
        return self._conn

    @conn.setter
    def conn(self, handle: ConnectHandle) -> None:
        """The connection is complete: events can be delivered from now on."""
        self._conn = handle
        self._events_init()
        self._events_start()

    # --- calling ----------------------------------------------------------------------------------

    def _call(self, procedure: int, args: Any = None) -> Any:
        pipeline = current()
        if pipeline is not None:
            return pipeline.call(self, REMOTE, procedure, args)
        limit = self.default_timeout
        if moment() is not None:  # asked here, as nearly no call has a deadline
            limit = remaining(limit)
        try:
            return self._request(REMOTE, procedure, args, limit)
        except VirError as error:
            self._explain(error)
            raise

    def _call_qemu(self, procedure: int, args: Any = None) -> Any:
        pipeline = current()
        if pipeline is not None:
            return pipeline.call(self, QEMU, procedure, args)
        return self.send(QEMU, procedure, args)

    def _call_lxc(self, procedure: int, args: Any = None) -> Any:
        return self.send(LXC, procedure, args)

    def _call_fds(
        self, program: int, procedure: int, args: Any, fds: Sequence[int]
    ) -> tuple[Any, list[int]]:
        try:
            return self.client.call_fds(  # type: ignore[no-any-return]
                program, procedure, args, fds, remaining(self.default_timeout)
            )
        except VirError as error:
            self._explain(error)
            raise

    def _call_stream(
        self, program: int, proc: int, args: tuple[Any, ...], handle: StreamHandle
    ) -> Any:
        try:
            return StreamsMixin._call_stream(self, program, proc, args, handle)
        except VirError as error:
            self._explain(error)
            raise

    def send(self, program: int, procedure: int, args: Any) -> Any:
        """Make a call whatever pipeline there is."""
        try:
            return self._request(program, procedure, args, remaining(self.default_timeout))
        except VirError as error:
            self._explain(error)
            raise

    def submit(self, program: int, procedure: int, args: Any) -> int:
        """Send a call; `wait` fetches its reply by the serial."""
        try:
            return self.client.submit(  # type: ignore[no-any-return]
                program, procedure, args, remaining(self.default_timeout)
            )
        except VirError as error:
            self._explain(error)
            raise

    def wait(self, serial: int, typed: bool = False) -> Any:
        """The reply of a submitted call; if it is late the call is given up."""
        try:
            limit = remaining(self.default_timeout)
        except VirError:
            self.forget(serial)
            raise
        try:
            return self.client.wait(serial, limit, typed)
        except VirError as error:
            self._explain(error)
            raise

    def forget(self, serial: int) -> None:
        """Throw the reply of a submitted call away, now or when it comes."""
        try:
            self.client.wait(serial, 0.0)
        except VirError:
            pass

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake the callers of a thread, or all; they get OPERATION_ABORTED. Returns how many."""
        return self.client.cancel(thread_id)  # type: ignore[no-any-return]

    def _explain(self, error: VirError) -> None:
        """Put what ssh said into the error of a connection that broke."""
        if error.domain != c.VIR_FROM_RPC or error.code != c.VIR_ERR_SYSTEM_ERROR:
            return
        for beginning in _BROKEN:
            if error.message.startswith(beginning):
                words = self.link.words()
                if words is not None:
                    rest = error.message[len(beginning) :]
                    error.message = error.str2 = f"{beginning}{words}: {rest}"
                    error.args = (error.message,)
                return

    def with_types(self) -> RemoteDriver:
        return _WithTypes(self)

    # --- facts ------------------------------------------------------------------------------------

    def connect_get_type(self) -> str:
        """Asked once: a connection does not change its driver."""
        if not self._type:
            self._type = self._call(_GET_TYPE)[0]
        return self._type

    def supports_feature(self, feature: int) -> bool:
        """Asked once; False when the daemon does not even know the question."""
        known = self._features.get(feature)
        if known is None:
            try:
                known = bool(self.send(REMOTE, _SUPPORTS_FEATURE, (feature,))[0])
            except VirError as error:
                if self.client.closed is not None or error.code == c.VIR_ERR_OPERATION_TIMEOUT:
                    raise
                known = False
            self._features[feature] = known
        return known

    def get_uri(self) -> str:
        return self._uri

    def is_secure(self) -> bool:
        """Whether both the way to the daemon and what the daemon does beyond are secure."""
        return bool(self._call(_IS_SECURE)[0]) and self.link.secure

    def is_encrypted(self) -> bool:
        return bool(self._call(_IS_SECURE)[0]) and self.link.encrypted

    def is_alive(self) -> bool:
        """Takes a look at the socket, so that a daemon that left is noticed without a call."""
        return self.client.closed is None and self.client.pump(0.0)

    def set_keepalive(self, interval: int, count: int) -> int:
        if not self.supports_feature(_FEATURE_KEEPALIVE):
            return 1
        self._events_keepalive(interval, count)
        return 0

    def domain_get_launch_security_info(self, dom: DomainHandle, flags: int) -> ParamValues:
        """Some of it is text, which a daemon keeps back unless asked for."""
        return super().domain_get_launch_security_info(dom, flags | STRINGS)

    def network_port_get_parameters(
        self, port: NetworkPortHandle, nparams: int, flags: int
    ) -> tuple[ParamValues, int]:
        """None of them is text, and a daemon refuses to be asked for text here."""
        return self._call(_PORT_PARAMETERS, (port.wire, nparams, flags))  # type: ignore[no-any-return]

    def domain_block_peek(
        self, dom: DomainHandle, disk: str, offset: int, size: int, flags: int
    ) -> bytes:
        _check_peek("block", size, limits.REMOTE_DOMAIN_BLOCK_PEEK_BUFFER_MAX)
        return super().domain_block_peek(dom, disk, offset, size, flags)

    def domain_memory_peek(self, dom: DomainHandle, start: int, size: int, flags: int) -> bytes:
        _check_peek("memory", size, limits.REMOTE_DOMAIN_MEMORY_PEEK_BUFFER_MAX)
        return super().domain_memory_peek(dom, start, size, flags)

    def domain_rename(self, dom: DomainHandle, new_name: str | None, flags: int) -> int:
        """The handle bears the new name from now on."""
        result: int = self._call(_RENAME, (dom.wire, new_name, flags))[0]
        if new_name is not None:
            dom.name = new_name
            dom.id = dom.id  # renews the wire form
        return result

    # --- closing ----------------------------------------------------------------------------------

    def connect_close(self) -> None:
        """Say goodbye and give everything back. A forked copy only drops its descriptors."""
        if self._process == os.getpid():
            self._detach()
            if self.client.closed is None:
                patience = min(_CLOSE_SECONDS, self.default_timeout or _CLOSE_SECONDS)
                try:
                    self._request(REMOTE, _CLOSE, None, remaining(patience))
                except VirError:
                    pass  # what matters to the caller is that it is closed
        self.client.close()
        self.client.on_activity = None  # no longer a circle of references
        self.link.close()


class _WithTypes(RemoteDriver):
    """The same connection, whose calls return typed parameters as triples."""

    def __init__(self, driver: RemoteDriver) -> None:
        self.__dict__.update(driver.__dict__)

    def _call(self, procedure: int, args: Any = None) -> Any:
        return self.wait(self.submit(REMOTE, procedure, args), typed=True)


def _check_peek(what: str, size: int, limit: int) -> None:
    if size > limit:
        text = f"{what} peek request too large for remote protocol, {size} > {limit}"
        raise report(c.VIR_ERR_RPC, c.VIR_FROM_REMOTE, text)
