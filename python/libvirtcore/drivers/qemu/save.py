# SPDX-License-Identifier: LGPL-2.1-or-later
"""save.py: guests put to sleep in a file and woken up from one.

A managed save is the host's own: the next start of the guest goes on where it was. Its image is
removed before the CPUs run, and a guest that is found running has none (reconnect.py), so that it
is never used twice.
Called by: drivers.qemu.driver (mixin), reconnect (autostart). Calls: save_file, transfer, start.
Never: ends a guest before its file is whole and on the disk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from libvirtcore.conf import PARSE_INACTIVE, Domain
from libvirtcore.drivers.qemu import documents, files, save_file, transfer
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import (
    RUNNING,
    Guest,
    Run,
    check_flags,
    internal,
    invalid,
    system_error,
)  # fmt: skip
from libvirtcore.drivers.qemu.info import progress_params
from libvirtcore.drivers.qemu.job import MODIFY, WHILE_SAVING, Operation
from libvirtcore.drivers.qemu.lifecycle import pause
from libvirtcore.drivers.qemu.save_file import Damaged, Header, managed_path
from libvirtcore.drivers.qemu.start import Wish, run_cpus, start
from libvirtcore.drivers.qemu.status import record
from libvirtcore.drivers.qemu.stop import finalise
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.log import WARNING, log

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.host import Host

_SAVE = c.VIR_DOMAIN_SAVE_BYPASS_CACHE | c.VIR_DOMAIN_SAVE_RUNNING | c.VIR_DOMAIN_SAVE_PAUSED
_RESTORE = _SAVE | c.VIR_DOMAIN_SAVE_RESET_NVRAM
_XML = c.VIR_DOMAIN_XML_SECURE | c.VIR_DOMAIN_XML_INACTIVE

Typed = "list[tuple[str, int, object]]"


class SaveCalls(Calls):
    """The calls about saved guests."""

    # --- to a file --------------------------------------------------------------------------------

    def domain_save(self, dom: DomainHandle, to: str) -> None:
        self._save_to(dom, to, None, 0)

    def domain_save_flags(self, dom: DomainHandle, to: str, dxml: str | None, flags: int) -> None:
        check_flags("qemuDomainSaveFlags", flags, _SAVE)
        self._save_to(dom, to, dxml, flags)

    def domain_save_params(
        self, dom: DomainHandle, params: list[tuple[str, int, object]], flags: int
    ) -> None:
        check_flags("qemuDomainSaveParams", flags, _SAVE)
        known = _take_params(params)
        path = known.get(c.VIR_DOMAIN_SAVE_PARAM_FILE)
        dxml = known.get(c.VIR_DOMAIN_SAVE_PARAM_DXML)
        if path is None:
            self._managed_save(dom, flags, dxml)
        else:
            self._save_to(dom, path, dxml, flags)

    def domain_managed_save(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainManagedSave", flags, _SAVE)
        self._managed_save(dom, flags, None)

    def _save_to(self, dom: DomainHandle, to: str, dxml: str | None, flags: int) -> None:
        if not os.path.isabs(to):
            to = os.path.abspath(to)
        with self._running(dom, "DomainSaveFlags") as guest:
            save(guest, to, dxml, flags)

    def _managed_save(self, dom: DomainHandle, flags: int, dxml: str | None) -> None:
        with self._running(dom, "DomainManagedSave") as guest:
            if not guest.persistent:
                raise invalid("cannot do managed save for transient domain")
            save(guest, managed_path(self.host, guest.name), dxml, flags)

    # --- from a file ------------------------------------------------------------------------------

    def domain_restore(self, frm: str) -> None:
        self._restore(frm, None, 0)

    def domain_restore_flags(self, frm: str, dxml: str | None, flags: int) -> None:
        check_flags("qemuDomainRestoreInternal", flags, _RESTORE)
        self._restore(frm, dxml, flags)

    def domain_restore_params(self, params: list[tuple[str, int, object]], flags: int) -> None:
        check_flags("qemuDomainRestoreInternal", flags, _RESTORE)
        known = _take_params(params)
        path = known.get(c.VIR_DOMAIN_SAVE_PARAM_FILE)
        if path is None:
            raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, "missing path to restore from")
        self._restore(path, known.get(c.VIR_DOMAIN_SAVE_PARAM_DXML), flags)

    def _restore(self, path: str, dxml: str | None, flags: int) -> None:
        host = self.host
        reset = bool(flags & c.VIR_DOMAIN_SAVE_RESET_NVRAM)
        fd, header = save_file.open_saved(path)
        try:
            model = self._restored_model(header, dxml)
            with host.defining:
                guest = host.claim(model, active_ok=False)
                if guest is None:
                    guest = Guest(host, model.name, documents.uuid_bytes(model))
                    host.add(guest)
            with guest.jobs.hold(MODIFY, "DomainRestoreFlags", self._patience()):
                if guest.active or guest.run is not None:
                    raise report(
                        c.VIR_ERR_OPERATION_INVALID,
                        c.VIR_FROM_DOMAIN,
                        f"domain '{guest.name}' is already active",
                    )
                try:
                    wake(guest, model, fd, _wants_paused(header, flags), Wish(reset_nvram=reset))
                except BaseException:
                    with guest.lock:
                        if not guest.persistent and not guest.active:
                            host.remove(guest)
                    raise
        finally:
            save_file.close(fd)

    def _restored_model(self, header: Header, dxml: str | None) -> Domain:
        saved = Domain.parse(header.xml, PARSE_INACTIVE)
        documents.check_name(self.host, saved.name)
        return saved if dxml is None else _other_version(self.host, saved, dxml)

    # --- what is saved ----------------------------------------------------------------------------

    def domain_has_managed_save_image(self, dom: DomainHandle, flags: int) -> int:
        check_flags("qemuDomainHasManagedSaveImage", flags, 0)
        return int(save_file.has_managed(self.host, self.host.find(dom).name))

    def domain_managed_save_remove(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainManagedSaveRemove", flags, 0)
        path = managed_path(self.host, self.host.find(dom).name)
        try:
            os.unlink(path)
        except OSError as fault:
            raise system_error(fault, f"Failed to remove managed save file '{path}'") from None

    def domain_managed_save_get_xml_desc(self, dom: DomainHandle, flags: int) -> str:
        check_flags("qemuDomainManagedSaveGetXMLDesc", flags, c.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
        path = managed_path(self.host, self.host.find(dom).name)
        if not os.path.exists(path):
            raise invalid("domain does not have managed save image")
        return self._saved_xml(path, flags)

    def domain_managed_save_define_xml(
        self, dom: DomainHandle, dxml: str | None, flags: int
    ) -> None:
        guest = self.host.find(dom)
        path = managed_path(self.host, guest.name)
        if not os.path.exists(path):
            raise invalid("domain does not have managed save image")
        self.domain_save_image_define_xml(path, dxml or "", flags)

    def domain_save_image_get_xml_desc(self, file: str, flags: int) -> str:
        check_flags("qemuDomainSaveImageGetXMLDesc", flags, c.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
        return self._saved_xml(file, flags)

    def _saved_xml(self, path: str, flags: int) -> str:
        fd, header = save_file.open_saved(path)
        save_file.close(fd)
        model = Domain.parse(header.xml, PARSE_INACTIVE)
        secure = flags & c.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
        return model.format(c.VIR_DOMAIN_XML_INACTIVE | (c.VIR_DOMAIN_XML_SECURE if secure else 0))

    def domain_save_image_define_xml(self, file: str, dxml: str, flags: int) -> None:
        check_flags(
            "qemuDomainSaveImageDefineXML",
            flags,
            c.VIR_DOMAIN_SAVE_RUNNING | c.VIR_DOMAIN_SAVE_PAUSED,
        )
        fd, header = save_file.open_saved(file, writable=True)
        try:
            model = self._restored_model(header, dxml)
            running = not _wants_paused(header, flags)
            save_file.replace_xml(fd, header, model.format(_XML), running)
        finally:
            save_file.close(fd)


def _take_params(params: list[tuple[str, int, object]]) -> dict[str, str]:
    known = {c.VIR_DOMAIN_SAVE_PARAM_FILE, c.VIR_DOMAIN_SAVE_PARAM_DXML}
    found: dict[str, str] = {}
    for name, _kind, value in params:
        if name not in known:
            raise report(
                c.VIR_ERR_INVALID_ARG, c.VIR_FROM_NONE, f"parameter '{name}' not supported"
            )
        found[name] = str(value)
    return found


def _wants_paused(header: Header, flags: int) -> bool:
    if flags & c.VIR_DOMAIN_SAVE_RUNNING:
        return False
    return bool(flags & c.VIR_DOMAIN_SAVE_PAUSED) or not header.running


def _other_version(host: Host, saved: Domain, dxml: str) -> Domain:
    """A user's version of a saved document; it must be of the same machine. Raises: VirError."""
    wanted = documents.read(host, dxml)
    if wanted.uuid != saved.uuid:
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            c.VIR_FROM_NONE,
            f"Target domain uuid {wanted.uuid} does not match source {saved.uuid}",
        )
    if wanted.memory != saved.memory:
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            c.VIR_FROM_NONE,
            f"Target domain max memory {wanted.memory} does not match source {saved.memory}",
        )
    disks = len(wanted.devices.disks), len(saved.devices.disks)
    if disks[0] != disks[1]:
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            c.VIR_FROM_NONE,
            f"Target domain disk count {disks[0]} does not match source {disks[1]}",
        )
    return wanted


# --- the work, with the job held ------------------------------------------------------------------


def save(guest: Guest, path: str, dxml: str | None, flags: int) -> None:
    """Write a running guest to a file and end it; what fails leaves it as it was.

    Raises: VirError.
    """
    run = guest.running()
    if guest.jobs.operation is not None:
        raise invalid("another job is active on the domain")
    live = guest.live
    assert live is not None
    model = live if dxml is None else _other_version(guest.host, live, dxml)
    kind = c.VIR_DOMAIN_JOB_OPERATION_SAVE
    operation = Operation(kind, "DomainSaveFlags", "domain save job", WHILE_SAVING)
    was_running = guest.state == c.VIR_DOMAIN_RUNNING
    running = was_running
    if flags & (c.VIR_DOMAIN_SAVE_RUNNING | c.VIR_DOMAIN_SAVE_PAUSED):
        running = bool(flags & c.VIR_DOMAIN_SAVE_RUNNING)
    bypass = bool(flags & c.VIR_DOMAIN_SAVE_BYPASS_CACHE)
    fd = save_file.create(path)
    try:
        with guest.jobs.operate(operation):
            record(guest, run)
            try:
                if was_running:
                    pause(guest, run, c.VIR_DOMAIN_PAUSED_SAVE)
                save_file.write_header(fd, model.format(_XML), running, path)
                transfer.outgoing(guest, run, fd, operation)
                save_file.complete(fd, path, bypass_cache=bypass)
            except BaseException:
                save_file.remove(fd, path)
                _go_on(guest, run, was_running)
                raise
            run.stopping = True
            tell_completed(guest, operation)
            if run.monitor is not None:
                run.monitor.close()
            run.process.kill()
            finalise(guest, run, c.VIR_DOMAIN_SHUTOFF_SAVED, c.VIR_DOMAIN_EVENT_STOPPED_SAVED)
    finally:
        save_file.close(fd)


def tell_completed(guest: Guest, operation: Operation) -> None:
    """Keep and tell the statistics of an operation that succeeded."""
    import time

    elapsed = int((time.monotonic() - operation.began) * 1000)
    facts = {"operation": operation.kind, "time_elapsed": elapsed} | operation.progress
    guest.completed = progress_params(facts)
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, (guest.completed,))


def _go_on(guest: Guest, run: Run, was_running: bool) -> None:
    """After a failure: run again, if it ran."""
    if guest.run is not run or run.stopping:
        return
    if was_running and guest.state == c.VIR_DOMAIN_PAUSED:
        try:
            run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_SAVE_CANCELED)
        except VirError as fault:
            log(WARNING, "drivers.qemu.save", f"'{guest.name}' stays paused: {fault.message}")
            guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_API_ERROR)
    record(guest, run)


def wake(
    guest: Guest, model: Domain, fd: int, paused: bool, wish: Wish, image: str | None = None
) -> None:
    """Start a guest from a stream; `image` is removed before its CPUs run. Raises: VirError."""
    wish.incoming = "defer"
    run = start(guest, model, wish)
    try:
        transfer.incoming(guest, run, fd)
    except BaseException:
        run.stopping = True
        run.process.kill()
        finalise(guest, run, c.VIR_DOMAIN_SHUTOFF_FAILED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        raise
    with guest.lock:
        guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_MIGRATION)
        guest.tell(c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_RESTORED)
    run.phase = RUNNING
    record(guest, run)
    if image is not None and not files.remove(image):
        log(WARNING, "drivers.qemu.save", f"cannot remove {image}")
    if paused:
        guest.tell(c.VIR_DOMAIN_EVENT_SUSPENDED, c.VIR_DOMAIN_EVENT_SUSPENDED_RESTORED)
    else:
        run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_RESTORED)
    record(guest, run)


def discard_managed(guest: Guest) -> None:
    """Forget the managed save of a guest. Raises: VirError."""
    path = managed_path(guest.host, guest.name)
    if os.path.exists(path) and not files.remove(path):
        raise internal(f"cannot remove managed save file {path}")


def restore_managed(guest: Guest, wish: Wish) -> bool:
    """Start a guest from its managed save; False when there is none, or only a damaged one.

    Raises: VirError when it is there and cannot be used.
    """
    path = managed_path(guest.host, guest.name)
    if not os.path.exists(path):
        return False
    try:
        fd, header = save_file.open_saved(path)
    except Damaged as fault:
        log(WARNING, "drivers.qemu.save", f"{path} is removed: {fault.message}")
        files.remove(path)
        return False
    try:
        model = Domain.parse(header.xml, PARSE_INACTIVE)
        if documents.uuid_bytes(model) != guest.uuid or model.name != guest.name:
            raise invalid(f"cannot restore domain '{guest.name}' from a file of '{model.name}'")
        wake(guest, model, fd, wish.paused or not header.running, wish, path)
    finally:
        save_file.close(fd)
    return True
