# SPDX-License-Identifier: LGPL-2.1-or-later
"""stop.py: the end of a guest: ended by us, by itself, or by somebody else.

Whoever ends a guest sets `stopping` first, so that the reactor, which sees every process end,
leaves the rest to him. No job is needed to end a guest: one that waits for a stuck QEMU fails then.
Called by: drivers.qemu.lifecycle, start, reactor. Calls: process, store.
Never: waits while it holds a lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu import files
from libvirtcore.drivers.qemu.cgroup import end as end_group
from libvirtcore.drivers.qemu.guest import Guest, Run, system_error
from libvirtcore.drivers.qemu.ownership import give_back
from libvirtcore.drivers.qemu.reactor import defer, reactor
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.process import Process

TERM_SECONDS = 10.0  # after SIGTERM, as libvirt waits
_LOOK_SECONDS = 0.2
KILL_SECONDS = 30.0  # after SIGKILL, for a process that waits for its disk
_SHORT = 20  # characters of a name that go into file names
_ALWAYS = ("monitor.sock", "master-key.aes")  # in the folder of every guest


def short_name(name: str) -> str:
    """The beginning of a name, for folders whose number already tells them apart."""
    return name[:_SHORT]


def end_process(process: Process, *, graceful: bool) -> None:
    """End QEMU, asking first. Raises: VirError when it is still there after that."""
    process.send(signal.SIGTERM)
    end = time.monotonic() + TERM_SECONDS
    while (left := end - time.monotonic()) > 0:
        if process.wait(min(left, _LOOK_SECONDS)):
            return
        if not graceful and is_stopped(process.pid):
            break  # it cannot hear
    name = "SIGTERM"
    if not graceful:
        name = "SIGKILL"
        process.send(signal.SIGKILL)
        if process.wait(KILL_SECONDS):
            return
    raise system_error(
        OSError(16, "Device or resource busy"),
        f"Failed to terminate process {process.pid} with {name}",
        c.VIR_FROM_NONE,
    )


def is_stopped(pid: int) -> bool:
    """Whether a process stands still by SIGSTOP or under a debugger."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except OSError:
        return False


def ended(guest: Guest, run: Run) -> None:
    """In the reactor, or in a caller who met the end of the monitor: QEMU is gone, or nearly."""
    if run.stopping or guest.run is not run:
        return
    if run.process.alive():  # the monitor is closed; the process is about to end, or stuck
        defer(lambda: _hasten(run), "qemu-end")
        return
    if run.monitor is not None:
        run.monitor.finish()
    with guest.lock:
        if run.stopping or guest.run is not run:
            return
        run.stopping = True
        shut_down = guest.state == c.VIR_DOMAIN_SHUTDOWN
    if shut_down:
        reasons = (c.VIR_DOMAIN_SHUTOFF_SHUTDOWN, c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    else:
        reasons = (c.VIR_DOMAIN_SHUTOFF_CRASHED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    finalise(guest, run, *reasons, by_itself=True)


def _hasten(run: Run) -> None:
    """End a QEMU that has closed its monitor and does not go; the reactor sees it end."""
    if not run.process.wait(TERM_SECONDS):
        run.process.send(signal.SIGKILL)


def finalise(guest: Guest, run: Run, reason: int, detail: int, *, by_itself: bool = False) -> bool:
    """QEMU is gone: tidy up, and tell. False when somebody else was faster.

    Of a guest that ended by itself the event still bears its number, as libvirt's does.
    """
    if run.monitor is not None:
        run.monitor.finish()
    with guest.lock:
        if guest.run is not run:
            return False
        number = guest.id if by_itself else -1
        discard(guest, run, reason)
        if not guest.persistent:
            guest.host.remove(guest)
        guest.tell(c.VIR_DOMAIN_EVENT_STOPPED, detail, number)
    return True


def discard(guest: Guest, run: Run, reason: int) -> None:
    """Forget a QEMU that is gone, and its files; subscribers are not told."""
    with guest.lock:
        if guest.run is not run:
            return
        guest.run, guest.live, guest.id = None, None, -1
        guest.set_state(c.VIR_DOMAIN_SHUTOFF, reason)
        close_run(run)
        guest.host.store.remove_status(guest.name)
        give_back(guest.host, guest.name)
        if run.group is not None:
            end_group(run.group)
        remove_folders(guest.host.paths.lib, run.folder)
        backing = guest.host.conf.memory_backing_dir
        if backing:
            memory = os.path.basename(run.folder).removeprefix("domain-")
            shutil.rmtree(os.path.join(backing, "libvirt", "qemu", memory), ignore_errors=True)
    with run.changed:
        run.changed.notify_all()


def remove_folders(lib: str, folder: str) -> None:
    """Remove a guest's folder and those of its channels and of memory kept in files."""
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):  # no descriptor is left to list it with
        for name in _ALWAYS:
            files.remove(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    memory = os.path.basename(folder).removeprefix("domain-")
    shutil.rmtree(os.path.join(lib, "ram", memory), ignore_errors=True)
    shutil.rmtree(
        os.path.join(lib, "channel", "target", os.path.basename(folder)), ignore_errors=True
    )


def close_run(run: Run) -> None:
    """Close what is open of a QEMU, without regard for QEMU itself."""
    if run.monitor is not None:
        run.monitor.close()
    reactor().forget(run.process.fd)
    run.process.close()


def let_go(guest: Guest, run: Run) -> None:
    """Leave a running guest to whoever opens this root next; mortal ones end now."""
    if run.owner is not None or run.mortal:
        run.stopping = True
        run.process.kill()
        finalise(guest, run, c.VIR_DOMAIN_SHUTOFF_DESTROYED, c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        return
    run.stopping = True
    close_run(run)
