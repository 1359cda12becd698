# SPDX-License-Identifier: LGPL-2.1-or-later
"""host.py: the guests of one root, shared by all connections of this process.

Called by: drivers.qemu.driver and its mixins. Calls: store, reconnect, events.state.
Never: is there twice for one root, in one process (`acquire`) or in two (the lock).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu import accounts, ownership, qemu_conf
from libvirtcore.drivers.qemu.cgroup import Groups
from libvirtcore.drivers.qemu.documents import uuid_bytes
from libvirtcore.drivers.qemu.guest import Guest, internal, no_domain, system_error
from libvirtcore.drivers.qemu.paths import SYSTEM, is_served
from libvirtcore.drivers.qemu.qemu_conf import QemuConf
from libvirtcore.drivers.qemu.store import Store
from libvirtcore.errors import VirError, report
from libvirtcore.events.families import DOMAIN, QEMU_MONITOR
from libvirtcore.events.state import event_state
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.log import WARNING, log

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.accounts import Account
    from libvirtcore.drivers.qemu.caps import QemuCaps
    from libvirtcore.drivers.qemu.caps_cache import Cache
    from libvirtcore.drivers.qemu.paths import Paths
    from libvirtcore.handles import ConnectHandle

JOB_SECONDS = 30.0  # how long a call waits for another that changes the same guest

LOCK_SECONDS = 0.5  # how long the lock of a root is tried


class Host:
    """Guests, files and subscribers of one root."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.store = Store(paths)
        self.lock = threading.Lock()  # of the tables; taken after a guest's lock, if with one
        self.defining = threading.RLock()  # held while names and UUIDs are claimed; taken first
        self.by_uuid: dict[bytes, Guest] = {}
        self.by_name: dict[str, Guest] = {}
        self.job_seconds = JOB_SECONDS
        self.privileged = os.geteuid() == 0
        self.conf = QemuConf()
        self.account: Account | None = None  # of QEMU processes, None for ours
        self.groups = Groups((), None)  # control groups of guests
        self.owning = threading.Lock()  # of `owners` and the files they tell of; taken last
        self.owners: dict[str, dict[str, tuple[int, int]]] = {}  # guest → path → owner before
        self._next_id = 1
        self._subscribers: dict[ConnectHandle, int] = {}
        self._caps: Cache | None = None
        self._lock_file = -1
        self._users = 0

    # --- life -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Lock the root, load what is there, find guests that run, start those that shall.

        Raises: VirError when the root is in use or cannot be used.
        """
        from libvirtcore.drivers.qemu.reconnect import adopt_all, autostart_all, load_all

        try:
            self.paths.make()
        except OSError as fault:
            raise system_error(fault, f"Failed to create directory '{fault.filename}'") from None
        self._take_lock()
        try:
            self.read_conf()
            self.store.tidy()
            load_all(self)
            adopt_all(self)
            ownership.settle(self)
        except BaseException:
            self.close()
            raise
        autostart_all(self)

    def read_conf(self) -> None:
        """Read qemu.conf; what is wrong with it leaves everything as it was. Raises: VirError."""
        conf = qemu_conf.load(os.path.join(os.path.dirname(self.paths.config), "qemu.conf"))
        own_root = self.paths.key != f"{SYSTEM}:/"
        account = accounts.choose(conf, privileged=self.privileged, own_root=own_root)
        self.conf, self.account = conf, account
        allowed = conf.cgroup_controllers if self.privileged else ()
        self.groups = Groups(allowed, self.paths.key.partition(":")[2] if own_root else None)
        for sentence in qemu_conf.ineffective(conf):
            log(WARNING, "drivers.qemu.host", sentence)

    def _take_lock(self) -> None:
        path = os.path.join(self.paths.state, "driver.pid")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as fault:
            raise system_error(fault, f"Failed to open pid file '{path}'") from None
        try:
            _lock(fd)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as fault:
            owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise system_error(
                fault, f"Failed to acquire pid file '{path}' (held by process {owner})"
            ) from None
        self._lock_file = fd

    def close(self) -> None:
        """Let go of the root; guests go on and can be found again."""
        for guest in self.guests():
            run = guest.run
            if run is not None:
                from libvirtcore.drivers.qemu.stop import let_go

                let_go(guest, run)
        fd, self._lock_file = self._lock_file, -1
        if fd >= 0:
            os.close(fd)

    # --- guests -----------------------------------------------------------------------------------

    def guests(self) -> list[Guest]:
        with self.lock:
            return list(self.by_uuid.values())

    def find(self, dom: DomainHandle) -> Guest:
        """The guest a handle means. Raises: VirError (NO_DOMAIN)."""
        guest = self.by_uuid.get(dom.uuid)
        if guest is None:
            raise no_domain(dom.uuid, dom.name)
        return guest

    def add(self, guest: Guest) -> None:
        with self.lock:
            self.by_uuid[guest.uuid] = guest
            self.by_name[guest.name] = guest

    def remove(self, guest: Guest) -> None:
        """Forget a guest that neither runs nor is defined."""
        with self.lock:
            if self.by_uuid.get(guest.uuid) is guest:
                del self.by_uuid[guest.uuid]
            if self.by_name.get(guest.name) is guest:
                del self.by_name[guest.name]

    def claim(self, model: Domain, *, active_ok: bool) -> Guest | None:
        """The guest a document means, None for a new one; `defining` must be held.

        Raises: VirError when name and UUID are those of different guests, or it runs already.
        """
        uuid = uuid_bytes(model)
        known = self.by_uuid.get(uuid)
        if known is None:
            other = self.by_name.get(model.name)
            if other is not None:
                raise report(
                    c.VIR_ERR_OPERATION_FAILED,
                    c.VIR_FROM_DOMAIN,
                    f"domain '{model.name}' already exists with uuid {other.uuid_text}",
                )
            return None
        if known.name != model.name:
            raise report(
                c.VIR_ERR_OPERATION_FAILED,
                c.VIR_FROM_DOMAIN,
                f"domain '{known.name}' is already defined with uuid {known.uuid_text}",
            )
        if not active_ok and (known.active or known.run is not None):
            raise report(
                c.VIR_ERR_OPERATION_INVALID,
                c.VIR_FROM_DOMAIN,
                f"domain '{known.name}' is already active",
            )
        return known

    def next_id(self) -> int:
        with self.lock:
            number = self._next_id
            self._next_id += 1
            return number

    def used_id(self, number: int) -> None:
        """A guest that was found has this number; later ones get higher ones."""
        with self.lock:
            self._next_id = max(self._next_id, number + 1)

    # --- capabilities -----------------------------------------------------------------------------

    def capabilities(self, model: Domain) -> QemuCaps:
        """What the QEMU that a model names, or the one for its architecture, can do.

        Raises: VirError.
        """
        binary = model.devices.emulator if model.devices else None
        if not binary:
            arch = (
                model.os.type.arch if model.os and model.os.type else None
            ) or os.uname().machine
            binary = find_emulator(arch)
            if binary is None:
                raise report(
                    c.VIR_ERR_CONFIG_UNSUPPORTED,
                    c.VIR_FROM_QEMU,
                    f"No emulator found for arch '{arch}'",
                )
        try:
            os.stat(binary)
        except OSError as fault:
            raise system_error(fault, f"Cannot check QEMU binary {binary}") from None
        if not os.access(binary, os.X_OK):
            raise internal(f"QEMU binary {binary} is not executable")
        return self.binary_capabilities(binary)

    def binary_capabilities(self, binary: str) -> QemuCaps:
        return self.caps_cache().get(binary)

    def caps_cache(self) -> Cache:
        from libvirtcore.drivers.qemu.caps_cache import Cache

        with self.lock:
            if self._caps is None:
                self._caps = Cache(os.path.join(self.paths.cache, "capabilities"))
            return self._caps

    # --- subscribers ------------------------------------------------------------------------------

    def subscribe(self, conn: ConnectHandle) -> None:
        with self.lock:
            self._subscribers[conn] = self._subscribers.get(conn, 0) + 1

    def unsubscribe(self, conn: ConnectHandle, *, wholly: bool = False) -> None:
        with self.lock:
            left = self._subscribers.get(conn, 0) - 1
            if left > 0 and not wholly:
                self._subscribers[conn] = left
            else:
                self._subscribers.pop(conn, None)

    def tell(
        self, guest: Guest, event: int, args: tuple[Any, ...], number: int | None = None
    ) -> None:
        """Queue an event of a guest for every subscribed connection; never waits."""
        self._queue(guest, DOMAIN, event, args, number)

    def tell_monitor(self, guest: Guest, args: tuple[Any, ...]) -> None:
        """Queue an event of QEMU as it came."""
        self._queue(guest, QEMU_MONITOR, 0, args)

    def _queue(
        self,
        guest: Guest,
        family: str,
        event: int,
        args: tuple[Any, ...],
        number: int | None = None,
    ) -> None:
        if not self._subscribers:
            return
        with self.lock:
            subscribers = list(self._subscribers)
        number = guest.id if number is None else number
        for conn in subscribers:
            subject = DomainHandle(conn, guest.name, guest.uuid, number)
            event_state(conn).queue(family, event, subject, args)


def _lock(fd: int) -> None:
    """Lock a file; one that a process which just died held, with a child under way, is waited for.

    Raises: OSError.
    """
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


def find_emulator(arch: str) -> str | None:
    """The QEMU for an architecture, as libvirt names architectures."""
    name = {"i686": "i386", "armv7l": "arm", "ppc64le": "ppc64"}.get(arch, arch)
    for program in (f"qemu-system-{name}", "qemu-kvm" if arch == os.uname().machine else ""):
        path = program and shutil.which(program, path="/usr/bin:/usr/local/bin:/usr/libexec")
        if path:
            return path
    return None


# --- the hosts of this process --------------------------------------------------------------------

_hosts: dict[str, Host] = {}
_hosts_lock = threading.Lock()
_opening: dict[str, threading.Lock] = {}


def acquire(paths: Paths) -> Host:
    """The host of a root; the first who asks opens it. Raises: VirError."""
    with _hosts_lock:
        opening = _opening.setdefault(paths.key, threading.Lock())
    with opening:
        host = _hosts.get(paths.key)
        if host is None:
            host = Host(paths)
            host.open()
            _hosts[paths.key] = host
        host._users += 1
        return host


def release(host: Host) -> None:
    """Give a host back; the last one closes it, but for a host that this process serves."""
    with _hosts_lock:
        opening = _opening.setdefault(host.paths.key, threading.Lock())
    with opening:
        host._users -= 1
        if host._users == 0 and not is_served(host.paths):
            _hosts.pop(host.paths.key, None)
            host.close()


def close_all() -> None:
    """Let go of all hosts, as a daemon does in the end."""
    with _hosts_lock:
        hosts = list(_hosts.values())
        _hosts.clear()
    for host in hosts:
        host.close()


def reload() -> None:
    """Read the configuration of all hosts again; it counts from a guest's next start on.

    Raises: VirError, of the first host whose file is wrong.
    """
    with _hosts_lock:
        hosts = list(_hosts.values())
    for host in hosts:
        host.read_conf()


def any_active() -> bool:
    """Whether a guest of any host runs."""
    with _hosts_lock:
        hosts = list(_hosts.values())
    return any(guest.active for host in hosts for guest in host.guests())


def for_each(guests: list[Guest], work: Callable[[Guest], None]) -> None:
    """Do something with each guest; what fails for one is logged."""
    for guest in guests:
        try:
            work(guest)
        except VirError as fault:
            log(WARNING, "drivers.qemu.host", f"domain '{guest.name}': {fault.message}")
