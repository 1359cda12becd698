# SPDX-License-Identifier: LGPL-2.1-or-later
"""daemon.py: the running daemon: its clients, its signals, its end.

The main thread sleeps in `serve` until a signal comes or the idle time is over; everything else
happens in the workers. `sessions` maps a client's number to its Session.
Called by: main.py; workers.py (clients come and go).
Calls: core_server, workers, session, drivers, notify.
Never: reads a client's bytes; keeps running after its sockets are gone.
"""

from __future__ import annotations

import os
import signal
import time

from libvirtcore.core_server import Limits, Server
from libvirtcore.errors import VirError
from libvirtcore.log import ERROR, INFO, WARNING, log
from libvirtd import config as configuration
from libvirtd import drivers, logs
from libvirtd.dispatch import TRIPLES
from libvirtd.fatal import INIT, Fatal
from libvirtd.identity import Identity
from libvirtd.services import SERVICES
from libvirtd.session import Session
from libvirtd.signals import END
from libvirtd.workers import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.core_server import Worker
    from libvirtd.config import Config
    from libvirtd.notify import Notifier
    from libvirtd.options import Options
    from libvirtd.paths import Paths
    from libvirtd.signals import Signals
    from libvirtd.sockets import Listeners

_MOST = 0x7FFFFFFF  # of anything the server counts; the file may ask for twice as much
_PATIENCE = 10.0  # seconds that calls under way get when the daemon ends
_BUSY_CHECK = 1.0  # seconds between two looks whether guests still need an idle daemon
_SOURCE = "daemon"
_FIXED = (
    "listen_tls", "listen_tcp", "tls_port", "tcp_port", "listen_addr", "unix_sock_group",
    "unix_sock_ro_perms", "unix_sock_rw_perms", "unix_sock_dir", "auth_unix_ro", "auth_unix_rw",
    "auth_tcp", "auth_tls", "host_uuid", "host_uuid_source", "max_queued_clients",
)  # fmt: skip


def limits(config: Config) -> Limits:
    """What the configuration allows, as the server takes it."""
    anonymous = config.max_anonymous_clients or config.max_clients  # 0: no limit of their own
    return Limits(
        max_clients=min(config.max_clients, _MOST),
        max_queued_clients=min(config.max_queued_clients, _MOST),
        max_anonymous_clients=min(anonymous, _MOST),
        max_client_requests=min(max(config.max_client_requests, 1), _MOST),
        keepalive_interval=config.keepalive_interval,
        keepalive_count=min(config.keepalive_count, _MOST),
    )


class Daemon:
    """One server with its clients."""

    def __init__(
        self, config: Config, options: Options, paths: Paths, notify: Notifier, signals: Signals
    ) -> None:
        self.config = config
        self.options = options
        self.paths = paths
        self.notify = notify
        self.sessions: dict[int, Any] = {}
        self._quiet_since = time.monotonic()
        self._signals = signals
        try:
            self.server = Server(limits(config), triples=TRIPLES)
        except VirError as fault:
            raise Fatal(INIT, f"the server needs the C core: {fault.message}") from None
        self.pool = Pool(self.server, self)

    # -- clients: called by the workers --------------------------------------------------------

    def accepted(self, worker: Worker) -> None:
        """A client has come: make its session, then let it talk."""
        client = worker.client
        service = SERVICES[worker.service]
        self.sessions[client] = Session(self.server, client, service, self._identity(client))
        if not self.server.accept_client(client, service.open_at_once):
            self.closed(client)

    def _identity(self, client: int) -> Identity:
        info = self.server.client(client)
        if info is None:
            return Identity()
        return Identity(info.uid, info.gid, info.pid, info.address)

    def closed(self, client: int) -> None:
        """A client has gone, or never got in."""
        session = self.sessions.pop(client, None)
        if not self.sessions:
            self._quiet_since = time.monotonic()
        if session is not None:
            session.close()

    # -- life ----------------------------------------------------------------------------------

    def start(self, listeners: Listeners) -> None:
        """Take clients from now on."""
        if "LIBVIRTCORE_TRACE" in os.environ:
            from libvirtcore.trace import start_from_environment

            qemu = "libvirtcore.drivers.qemu"
            start_from_environment(f"{qemu}.driver", f"{qemu}.start", f"{qemu}.reconnect")
        for listener, service in listeners.sockets:
            self.server.listen(os.dup(listener.fileno()), service)
        config = self.config
        self.pool.resize(config.min_workers, config.max_workers, config.prio_workers)

    def serve(self) -> None:
        """Sleep until it is time to end."""
        while True:
            wait = self._until_idle_exit()
            if wait is not None and wait <= 0:
                log(INFO, _SOURCE, f"nobody came for {self.options.timeout} s: ending")
                return
            for number in self._signals.wait(wait):
                if number in END:
                    log(INFO, _SOURCE, f"{signal.Signals(number).name}: ending")
                    return
                self.reload()

    def _until_idle_exit(self) -> float | None:
        """Seconds until the idle time is over, as far as is known; None when there is none."""
        if not self.options.timeout:
            return None
        if self.sessions:
            return _BUSY_CHECK
        left = self._quiet_since + self.options.timeout - time.monotonic()
        if left <= 0 and drivers.busy():
            return _BUSY_CHECK
        return left

    # -- SIGHUP --------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again. What is wrong with it is logged and nothing changes."""
        self.notify.reloading()
        try:
            self._take_configuration()
            drivers.reload()
        except Fatal as fault:
            log(ERROR, _SOURCE, f"the configuration stays as it was: {fault.text}")
        except Exception as fault:
            log(ERROR, _SOURCE, f"reloading failed: {type(fault).__name__}: {fault}")
        self.notify.ready()

    def _take_configuration(self) -> None:
        options, old = self.options, self.config
        path = options.config or self.paths.config
        new = configuration.load(path, must_exist=options.config is not None)
        logs.check(new)
        configuration.refuse_unbuilt(new, tcp=options.listen)
        logs.configure(new, options, self.paths)
        for name in _FIXED:
            if getattr(new, name) != getattr(old, name):
                log(WARNING, _SOURCE, f"'{name}' has changed: it counts from the next start on")
        for sentence in configuration.ineffective(new):
            log(WARNING, _SOURCE, sentence)
        self.server.set_limits(limits(new))
        self.pool.resize(new.min_workers, new.max_workers, new.prio_workers)
        self.config = new
        log(INFO, _SOURCE, f"{path} was read again")

    # -- the end -------------------------------------------------------------------------------

    def stop(self) -> bool:
        """End every connection and thread. False when a call did not end in time."""
        self.notify.stopping()
        self._signals.end_at_once()
        self.server.stop()
        stuck = self.pool.join(_PATIENCE)
        for thread in stuck:
            log(WARNING, _SOURCE, f"{thread.name} is still in a call: leaving it behind")
        for client in list(self.sessions):
            try:
                self.closed(client)
            except Exception as fault:
                log(ERROR, _SOURCE, f"client {client}: {type(fault).__name__}: {fault}")
        drivers.stop()
        return not stuck
