# SPDX-License-Identifier: LGPL-2.1-or-later
"""start.py: from a model to a running guest.

    model → names, capabilities → folder, monitor socket, log → command → process on record
          → control group → commit → greeting → what QEMU chose → CPUs on

The monitor socket listens before QEMU exists and is handed to it, so there is nothing to wait for
and no path to be too long. The process is on record before it becomes QEMU (process.py), so that
whoever comes after a killed daemon finds every guest.
Called by: drivers.qemu.lifecycle, save, reconnect (autostart). Calls: command, process, cgroup,
monitor.
Never: leaves anything behind when a start fails.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu import accounts, cgroup, command_context, documents, labels, ownership
from libvirtcore.drivers.qemu import process as processes
from libvirtcore.drivers.qemu.events import handle_event
from libvirtcore.drivers.qemu.guest import RUNNING, Guest, Run, internal, system_error
from libvirtcore.drivers.qemu.monitor import Monitor
from libvirtcore.drivers.qemu.paths import make_private
from libvirtcore.drivers.qemu.reactor import reactor
from libvirtcore.drivers.qemu.refresh import refresh, set_passwords
from libvirtcore.drivers.qemu.resources import Resources, listen_at
from libvirtcore.drivers.qemu.status import record, record_state
from libvirtcore.drivers.qemu.stop import discard, ended, finalise, remove_folders, short_name
from libvirtcore.drivers.qemu.vcpu_plug import plug_wanted
from libvirtcore.drivers.qemu.vcpus import apply_pins
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.qmp import connect

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.accounts import Account
    from libvirtcore.drivers.qemu.command import Command
    from libvirtcore.handles import ConnectHandle

MONITOR = "monitor.sock"
GREETING_SECONDS = 30.0
LOG_TAIL = 4096  # bytes of the log that go into an error


@dataclass(slots=True)
class Wish:
    """How a guest shall start."""

    paused: bool = False
    owner: ConnectHandle | None = None  # destroy it with this connection
    mortal: bool = False  # … and with this process
    started: int = c.VIR_DOMAIN_EVENT_STARTED_BOOTED
    incoming: str | None = None
    fds: list[int] = field(default_factory=list)  # of the user, passed on
    reset_nvram: bool = False


def start(guest: Guest, model: Domain, wish: Wish) -> Run:
    """Start a guest up to CPUs that stand still; the job is held. Raises: VirError."""
    host = guest.host
    caps = host.capabilities(model)
    live = model.copy()
    documents.prepare(live, caps)
    number = host.next_id()
    live.id = number
    labels.settle(live, host)
    folder = os.path.join(host.paths.lib, f"domain-{number}-{short_name(guest.name)}")
    with contextlib.ExitStack() as made, contextlib.ExitStack() as undo:
        undo.callback(remove_folders, host.paths.lib, folder)
        _make_folder(folder)
        resources = made.enter_context(Resources(host, folder))
        monitor = resources.keep(listen_at(os.path.join(folder, MONITOR)))
        resources.prepare(live, reset_nvram=wish.reset_nvram)
        undo.callback(ownership.give_back, host, guest.name)
        ownership.take(host, guest.name, live)
        ownership.open_way(host, folder)
        log = _open_log(guest)
        made.callback(os.close, log)
        command = command_context.build(live, caps, resources, monitor, wish)
        fds = [*resources.fds, *wish.fds]
        mark = _write_log(log, command.argv)
        try:
            starting = _spawn(command, log, fds, host.account, mortal=wish.mortal)
        except OSError as fault:
            raise system_error(fault, f"Cannot start {command.argv[0]}") from None
        run = Run(starting.process, None, folder, owner=wish.owner, mortal=wish.mortal)
        if host.privileged and (host.account is None or 0 in host.account[:2]):
            run.tainted.add("running with undesirable elevated privileges")
        with guest.lock:
            guest.live, guest.run, guest.id = live, run, number
            guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_STARTING_UP)
        try:
            record(guest, run)
            host.store.save_pid(guest.name, run.process.pid)
            accounts.limit(run.process.pid, host.conf)
            if host.privileged:
                run.group = host.groups.begin(number, live, run.process.pid)
                cgroup.limit(live, run.group, usable=host.groups.mount() is not None)
            starting.commit()
            resources.close()  # so that QEMU's end is the end of its sockets
            open_monitor(guest, run, GREETING_SECONDS)
            plug_wanted(guest, run)
            refresh(guest, run)
            set_passwords(guest, run)
            apply_pins(guest, run)
        except BaseException as fault:
            run.stopping = True
            exited = run.process.wait(0.5) if isinstance(fault, VirError) else False
            starting.cancel()
            discard(guest, run, c.VIR_DOMAIN_SHUTOFF_FAILED)
            if exited:
                said = _log_tail(log, mark)
                raise internal(f"process exited while connecting to monitor: {said}") from None
            raise
        undo.pop_all()
    return run


def _spawn(
    command: Command, log: int, fds: list[int], account: Account | None, *, mortal: bool
) -> processes.Starting:
    """Start a process. Raises: OSError."""

    def spawn() -> processes.Starting:
        if account is None:
            return processes.spawn(command.argv, command.env, log, fds, mortal=mortal)
        return processes.spawn(
            command.argv, command.env, log, fds, mortal=mortal,
            user=account.uid, group=account.gid, groups=account.groups,
        )  # fmt: skip

    # A mortal process ends with the thread that started it, so that must be one which lasts.
    return reactor().perform(spawn) if mortal else spawn()


def launch(guest: Guest, model: Domain, wish: Wish) -> None:
    """Start a guest and tell of it; the job is held. Raises: VirError."""
    run = start(guest, model, wish)
    run.phase = RUNNING
    if wish.paused:
        with guest.lock:
            guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_USER)
            guest.tell(c.VIR_DOMAIN_EVENT_STARTED, wish.started)
            guest.tell(c.VIR_DOMAIN_EVENT_SUSPENDED, c.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
    else:
        try:
            run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_BOOTED)
        except VirError:
            _abandon(guest, run)
            raise
        guest.tell(c.VIR_DOMAIN_EVENT_STARTED, wish.started)
    record(guest, run)


def _abandon(guest: Guest, run: Run) -> None:
    """End a guest whose start failed late."""
    run.stopping = True
    run.process.kill()
    finalise(guest, run, c.VIR_DOMAIN_SHUTOFF_FAILED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED)


def run_cpus(guest: Guest, run: Run, reason: int) -> None:
    """Have the CPUs of a guest run, and say why. Raises: VirError."""
    monitor = run.monitor
    assert monitor is not None
    run.resume_reason = reason
    try:
        monitor.command("cont")
    finally:
        run.resume_reason = c.VIR_DOMAIN_RUNNING_UNPAUSED
    if guest.resumed(reason):  # the event, which comes before the answer, has not said so
        record_state(guest, run)


def open_monitor(guest: Guest, run: Run, seconds: float) -> None:
    """Connect to a guest's monitor and listen to it. Raises: VirError."""
    client = connect(os.path.join(run.folder, MONITOR), timeout=seconds)
    monitor = Monitor(client, lambda event: handle_event(guest, run, event))
    run.monitor = monitor
    monitor.on_end = lambda: ended(guest, run)
    reactor().watch(run.process.fd, lambda: ended(guest, run))
    monitor.watch()


# --- folder and log -------------------------------------------------------------------------------


def _make_folder(folder: str) -> None:
    try:
        make_private(folder)
    except OSError as fault:
        raise system_error(fault, f"Cannot create directory '{folder}'") from None


def _open_log(guest: Guest) -> int:
    path = os.path.join(guest.host.paths.log, f"{guest.name}.log")
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except OSError as fault:
        raise system_error(fault, f"failed to create logfile {path}") from None


def _write_log(fd: int, argv: list[str]) -> int:
    """Write how QEMU is started; returns where its own words begin."""
    from libvirtcore.version import LIBRARY_VERSION

    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    words = " \\\n".join(_quote(word) for word in argv)
    text = f"{stamp}+0000: starting up, libvirtcore {LIBRARY_VERSION}\n{words}\n"
    with contextlib.suppress(OSError):
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    return os.lseek(fd, 0, os.SEEK_END)


def _quote(word: str) -> str:
    import shlex

    return shlex.quote(word)


def _log_tail(fd: int, mark: int) -> str:
    """What QEMU has said since it was started."""
    with contextlib.suppress(OSError):
        end = os.lseek(fd, 0, os.SEEK_END)
        text = os.pread(fd, LOG_TAIL, max(mark, end - LOG_TAIL)).decode("utf-8", "replace")
        return text.rstrip("\n")
    return ""
