# SPDX-License-Identifier: LGPL-2.1-or-later
"""lifecycle.py: start, stop, pause and restart guests.

Called by: drivers.qemu.driver (mixin). Calls: start, stop, the monitor.
Never: reports a state that QEMU has not confirmed.
"""

from __future__ import annotations

from libvirtcore.drivers.qemu import documents
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, Run, check_flags, invalid, not_running
from libvirtcore.drivers.qemu.job import MODIFY, SUSPEND
from libvirtcore.drivers.qemu.start import Wish, launch, run_cpus
from libvirtcore.drivers.qemu.status import record, record_state
from libvirtcore.drivers.qemu.stop import end_process, finalise
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_START = (
    c.VIR_DOMAIN_START_PAUSED
    | c.VIR_DOMAIN_START_AUTODESTROY
    | c.VIR_DOMAIN_START_BYPASS_CACHE
    | c.VIR_DOMAIN_START_FORCE_BOOT
    | c.VIR_DOMAIN_START_RESET_NVRAM
)
_SHUTDOWN = c.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN | c.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT
_REBOOT = c.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN | c.VIR_DOMAIN_REBOOT_GUEST_AGENT


class LifecycleCalls(Calls):
    """The calls that change whether and how a guest runs."""

    # --- start ------------------------------------------------------------------------------------

    def _wish(self, flags: int, fds: list[int]) -> Wish:
        autodestroy = bool(flags & c.VIR_DOMAIN_START_AUTODESTROY)
        return Wish(
            paused=bool(flags & c.VIR_DOMAIN_START_PAUSED),
            owner=self.conn if autodestroy else None,
            mortal=autodestroy,
            fds=list(fds),
            reset_nvram=bool(flags & c.VIR_DOMAIN_START_RESET_NVRAM),
        )

    def domain_create(self, dom: DomainHandle) -> None:
        self.domain_create_with_flags(dom, 0)

    def domain_create_with_flags(self, dom: DomainHandle, flags: int) -> DomainHandle:
        return self.domain_create_with_files(dom, flags, [])

    def domain_create_with_files(
        self, dom: DomainHandle, flags: int, fds: list[int]
    ) -> DomainHandle:
        """Start a guest; a document finds the files as /dev/fdset/1 and so on."""
        check_flags("qemuDomainCreateWithFlags", flags, _START)
        from libvirtcore.drivers.qemu.save import discard_managed, restore_managed

        with self._job(dom, "DomainCreateWithFlags") as guest:
            if guest.active or guest.run is not None:
                raise invalid("domain is already running")
            wish = self._wish(flags, fds)
            if flags & c.VIR_DOMAIN_START_FORCE_BOOT:
                discard_managed(guest)
            elif restore_managed(guest, wish):
                self._end_if_left(guest, wish)
                return self._handle(guest)
            model = guest.config
            if model is None:
                raise not_running()
            try:
                launch(guest, model, wish)
            except BaseException:
                with guest.lock:
                    if not guest.active:
                        guest.set_state(c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_SHUTOFF_FAILED)
                raise
            self._end_if_left(guest, wish)
            return self._handle(guest)

    def domain_create_xml(self, xmlDesc: str, flags: int) -> DomainHandle:
        return self.domain_create_xml_with_files(xmlDesc, flags, [])

    def domain_create_xml_with_files(
        self, xml_desc: str, flags: int, fds: list[int]
    ) -> DomainHandle:
        """Start a transient guest; its document finds the files as /dev/fdset/1 and so on."""
        check_flags(
            "qemuDomainCreateXML",
            flags,
            c.VIR_DOMAIN_START_PAUSED
            | c.VIR_DOMAIN_START_AUTODESTROY
            | c.VIR_DOMAIN_START_VALIDATE
            | c.VIR_DOMAIN_START_RESET_NVRAM,
        )
        host = self.host
        strict = bool(flags & c.VIR_DOMAIN_START_VALIDATE)
        model = documents.read(host, xml_desc, strict=strict)
        with host.defining:
            guest = host.claim(model, active_ok=False)
            if guest is None:
                guest = Guest(host, model.name, documents.uuid_bytes(model))
                host.add(guest)
        with guest.jobs.hold(MODIFY, "DomainCreateXML", self._patience()):
            if guest.active or guest.run is not None:
                raise report(
                    c.VIR_ERR_OPERATION_INVALID,
                    c.VIR_FROM_DOMAIN,
                    f"domain '{guest.name}' is already active",
                )
            wish = self._wish(flags, fds)
            try:
                launch(guest, model, wish)
            except BaseException:
                with guest.lock:
                    if not guest.persistent and not guest.active:
                        host.remove(guest)
                raise
            self._end_if_left(guest, wish)
            return self._handle(guest)

    def _end_if_left(self, guest: Guest, wish: Wish) -> None:
        """A client that left while its guest was being started takes it along."""
        if wish.owner is not None and self._closed:
            destroy(guest)

    # --- pause and go on --------------------------------------------------------------------------

    def domain_suspend(self, dom: DomainHandle) -> None:
        with self._running(dom, "DomainSuspend", SUSPEND) as guest:
            if guest.state == c.VIR_DOMAIN_PMSUSPENDED:
                raise invalid("domain is pmsuspended")
            if guest.state != c.VIR_DOMAIN_PAUSED:
                pause(guest, guest.running(), c.VIR_DOMAIN_PAUSED_USER)

    def domain_resume(self, dom: DomainHandle) -> None:
        with self._running(dom, "DomainResume") as guest:
            run = guest.running()
            if guest.state == c.VIR_DOMAIN_PMSUSPENDED:
                raise invalid("domain is pmsuspended")
            if guest.state == c.VIR_DOMAIN_RUNNING:
                raise invalid("domain is already running")
            if guest.state == c.VIR_DOMAIN_CRASHED and (
                guest.reason == c.VIR_DOMAIN_CRASHED_PANICKED
            ):
                raise invalid("domain is crashed; reset it first")
            run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_UNPAUSED)

    # --- stop -------------------------------------------------------------------------------------

    def domain_destroy(self, dom: DomainHandle) -> None:
        self.domain_destroy_flags(dom, 0)

    def domain_destroy_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags(
            "qemuDomainDestroyFlags",
            flags,
            c.VIR_DOMAIN_DESTROY_GRACEFUL | getattr(c, "VIR_DOMAIN_DESTROY_REMOVE_LOGS", 0),
        )
        guest = self.host.find(dom)
        destroy(guest, graceful=bool(flags & c.VIR_DOMAIN_DESTROY_GRACEFUL))

    def domain_shutdown(self, dom: DomainHandle) -> None:
        self.domain_shutdown_flags(dom, 0)

    def domain_shutdown_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainShutdownFlags", flags, _SHUTDOWN)
        if self.host.find(dom).state != c.VIR_DOMAIN_RUNNING:  # a paused one would not hear it
            raise not_running(c.VIR_FROM_QEMU)
        with self._running(dom, "DomainShutdownFlags") as guest:
            if self._ask_agent(guest, flags, _SHUTDOWN, "powerdown"):
                return
            run = guest.running()
            live = guest.live
            run.fake_reboot = live is not None and live.on_poweroff == "restart"
            guest.monitor().command("system_powerdown")
            record(guest, run)

    def domain_reboot(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainReboot", flags, _REBOOT)
        with self._running(dom, "DomainReboot") as guest:
            if self._ask_agent(guest, flags, _REBOOT, "reboot"):
                return
            run = guest.running()
            live = guest.live
            run.fake_reboot = live is None or live.on_reboot not in ("destroy", "preserve")
            guest.monitor().command("system_powerdown")
            record(guest, run)

    def _ask_agent(self, guest: Guest, flags: int, known: int, mode: str) -> bool:
        """Ask the guest's agent to end or restart it, if flags want that and it is there.

        Raises: VirError when only the agent was asked for and it does not answer.
        """
        acpi, agent = known & 1, known & 2
        if not flags & agent:
            return False
        ask = getattr(self, "_agent_shutdown", None)
        if ask is not None:
            try:
                ask(guest, mode)
                return True
            except VirError:
                if not flags & acpi:
                    raise
                return False
        if flags & acpi:
            return False
        raise report(
            c.VIR_ERR_ARGUMENT_UNSUPPORTED,
            c.VIR_FROM_QEMU,
            "QEMU guest agent is not configured",
        )

    def domain_reset(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainReset", flags, 0)
        with self._running(dom, "DomainReset") as guest:
            guest.running().fake_reboot = False
            guest.monitor().command("system_reset")

    def domain_inject_nmi(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainInjectNMI", flags, 0)
        with self._running(dom, "DomainInjectNMI") as guest:
            guest.monitor().command("inject-nmi")

    def domain_pm_wakeup(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainPMWakeup", flags, 0)
        with self._running(dom, "DomainPMWakeup") as guest:
            guest.monitor().command("system_wakeup")

    # --- what becomes of it -----------------------------------------------------------------------

    def domain_set_lifecycle_action(
        self, dom: DomainHandle, type: int, action: int, flags: int
    ) -> None:
        from libvirtcore.drivers.qemu.actions import set_action

        check_flags(
            "qemuDomainSetLifecycleAction",
            flags,
            c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_AFFECT_CONFIG,
        )
        with self._job(dom, "DomainSetLifecycleAction") as guest:
            set_action(guest, type, action, flags)


def pause(guest: Guest, run: Run, reason: int) -> None:
    """Have the CPUs of a guest stand still, and say why. Raises: VirError."""
    monitor = guest.monitor()
    run.pause_reason = reason
    try:
        monitor.command("stop")
    finally:
        run.pause_reason = c.VIR_DOMAIN_PAUSED_UNKNOWN
    if guest.paused(reason):  # the event, which comes before the answer, has not said so
        record_state(guest, run)


def destroy(
    guest: Guest,
    *,
    graceful: bool = False,
    reason: int = c.VIR_DOMAIN_SHUTOFF_DESTROYED,
    detail: int = c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED,
) -> None:
    """End a guest. Needs no job: what waits for a stuck QEMU is freed by this. Raises: VirError."""
    with guest.lock:
        run = guest.running()
        mine = not run.stopping
        run.stopping = True
    if not mine:  # somebody else ends it: when that is done, it is not running
        if not run.process.wait(30.0):
            raise invalid("domain is being stopped")
        raise not_running()
    try:
        end_process(run.process, graceful=graceful)
    except VirError:
        run.stopping = False
        if not run.process.alive():
            finalise(guest, run, reason, detail)
        raise
    finalise(guest, run, reason, detail)
