# SPDX-License-Identifier: LGPL-2.1-or-later
"""media.py: discs and floppies put into the drives of a running guest, and taken out.

Called by: attach, update. Calls: the monitor, command_storage, attach_replay.
Never: leaves a drive without the medium it had when the new one cannot be put in.
"""

from __future__ import annotations

import os
import time
from typing import Any

from libvirtcore.drivers.qemu import command, command_storage, images, ownership
from libvirtcore.drivers.qemu.attach_replay import Replay
from libvirtcore.drivers.qemu.base import save_live
from libvirtcore.drivers.qemu.command_secrets import KEY_FILE
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, internal
from libvirtcore.drivers.qemu.model import default, ensure
from libvirtcore.drivers.qemu.unplug import clear, image_leavings
from libvirtcore.errors import VirError
from libvirtcore.qmp import QMPError

_TRIES = 5  # to open a drive that the guest closes again
_TRAY_SECONDS = 3.0  # for a guest that has locked its drive and is asked to open it


def change_medium(guest: Guest, disk: Any, wanted: Any, *, force: bool) -> None:
    """Have a drive hold what `wanted` says; the job is held. Raises: VirError."""
    full = command_storage.has_source(disk.type, disk.source)
    fill = command_storage.has_source(wanted.type, wanted.source)
    if not full and not fill:
        return
    monitor = guest.monitor()
    name = alias_of(disk)
    live = guest.live
    assert name is not None and live is not None
    replay = Replay(monitor)
    node = None
    if fill:
        images.complete_chain(wanted)
        ownership.take_disk(guest.host, guest.name, wanted)
        node = _prepare(guest, disk, wanted, replay)
    tray = disk.device == "cdrom"
    try:
        if tray:
            _open_tray(guest, name, force)
        old = _node(disk) if full else None
        if full or _loaded(guest, name):
            _with_open_tray(guest, name, "blockdev-remove-medium", {"id": name}, tray, force)
        if node is not None:
            words = {"id": name, "node-name": node}
            try:
                _with_open_tray(guest, name, "blockdev-insert-medium", words, tray, force)
            except VirError:
                _restore(guest, name, old, tray)
                raise
    except BaseException:
        replay.undo()
        raise
    if tray:
        monitor.command("blockdev-close-tray", {"id": name})
    leavings = image_leavings(disk) if full else []
    with guest.lock:
        put_medium(disk, wanted)
    clear(guest, leavings)
    save_live(guest)


def put_medium(disk: Any, wanted: Any) -> None:
    """Write into a drive of a model what it holds now."""
    disk.type = wanted.type
    disk.source = wanted.source
    disk.backing_store = wanted.backing_store
    disk.auth = wanted.auth
    if wanted.driver is not None:
        disk.driver = wanted.driver
    if disk.target is not None:
        disk.target.tray = None


def _node(disk: Any) -> str:
    return f"libvirt-{disk.source.index}-format"


def _prepare(guest: Guest, disk: Any, wanted: Any, replay: Replay) -> str:
    """Make the nodes of a new medium; the name of the topmost. Raises: VirError."""
    live: Any = guest.live
    run = guest.running()
    wanted.alias, wanted.address = disk.alias, disk.address
    wanted.readonly = disk.readonly or disk.device == "cdrom" or None
    driver = ensure(wanted, "driver")
    default(driver, "name", "qemu")
    default(driver, "type", "raw")
    trial = live.copy()
    # Beside the old one, so that the nodes of both have numbers of their own.
    trial.devices.disks.append(wanted)
    try:
        with open(os.path.join(run.folder, KEY_FILE), "rb") as file:
            key = file.read(64)
    except OSError:
        key = None
    context = command.Context(lib_dir=run.folder, monitor=-1, master_key=key)
    line = command.prepare(trial, guest.host.capabilities(live), context)
    image = command_storage.chain(line, wanted)
    assert image is not None
    for node in command_storage.chain_nodes(line, image):
        line.json("-blockdev", node)
    replay.play(line.argv)
    return image.format_node


def _open_tray(guest: Guest, name: str, force: bool) -> None:
    """Open a drive; a guest that has locked it gets a moment to do so itself. Raises: VirError."""
    monitor = guest.monitor()
    end = time.monotonic() + _TRAY_SECONDS
    while True:
        try:
            monitor.execute("blockdev-open-tray", {"id": name, "force": force})
            return
        except QMPError as refused:
            if "is locked" not in refused.desc or time.monotonic() > end:
                raise _refused("blockdev-open-tray", refused) from None
        time.sleep(0.1)


def _with_open_tray(
    guest: Guest, name: str, command: str, words: dict[str, Any], tray: bool, force: bool
) -> None:
    """Run a command that needs the drive open; a guest may close it between. Raises: VirError."""
    for _ in range(_TRIES):
        try:
            guest.monitor().execute(command, words)
            return
        except QMPError as refused:
            if not tray or "not open" not in refused.desc:
                raise _refused(command, refused) from None
        _open_tray(guest, name, force)
    guest.monitor().command(command, words)


def _refused(command: str, refused: QMPError) -> VirError:
    return internal(f"unable to execute QEMU command '{command}': {refused.desc}")


def _loaded(guest: Guest, name: str) -> bool:
    """Whether QEMU holds a medium that the model does not know of."""
    answer = guest.monitor().command("query-block")
    for item in answer if isinstance(answer, list) else ():
        if isinstance(item, dict) and name in str(item.get("qdev")).split("/"):
            return item.get("inserted") is not None
    return False


def _restore(guest: Guest, name: str, old: str | None, tray: bool) -> None:
    """Put back what was in a drive."""
    monitor = guest.monitor()
    try:
        if old is not None:
            monitor.execute("blockdev-insert-medium", {"id": name, "node-name": old})
        if tray:
            monitor.execute("blockdev-close-tray", {"id": name})
    except (QMPError, VirError):
        pass
