# SPDX-License-Identifier: LGPL-2.1-or-later
"""guests.py: the door's functions on domains that take or return what no wire argument mirrors.

Called by: libvirtmod, libvirtmod_qemu, libvirtmod_lxc.
Never: opens a file; descriptors come from the caller and go to the caller.
"""

from __future__ import annotations

import os
import stat

from libvirtcore.api import args as arg
from libvirtcore.api import shapes
from libvirtcore.api.call import argument, call, run
from libvirtcore.drivers.support import no_support
from libvirtcore.errors import invalid_argument, report
from libvirtcore.generated import api_table as row
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virConnectGetAllDomainStats",
    "virDomainBlockPeek",
    "virDomainCreateLinux",
    "virDomainCreateWithFiles",
    "virDomainCreateXMLWithFiles",
    "virDomainFDAssociate",
    "virDomainFSFreeze",
    "virDomainFSThaw",
    "virDomainGetTime",
    "virDomainListGetStats",
    "virDomainLxcEnterCGroup",
    "virDomainMemoryPeek",
    "virDomainOpenGraphics",
    "virDomainQemuMonitorCommandWithFiles",
    "virDomainSendKey",
    "virDomainSetTime",
]


def virDomainCreateLinux(connect: Any, xmlDesc: Any, flags: Any, /) -> Any:
    """The old name of virDomainCreateXML."""
    return call(
        row.virDomainCreateXML,
        connect,
        arg.text(xmlDesc, "virDomainCreateLinux", 2),
        arg.u32(flags),
    )


# --- descriptors ----------------------------------------------------------------------------------


def _fds(files: Any) -> list[int]:
    if not isinstance(files, list):
        raise TypeError("unexpected type")
    return [arg.i32(fd) for fd in files]


def virDomainCreateWithFiles(domain: Any, files: Any, flags: Any, /) -> Any:
    facts = row.virDomainCreateWithFiles

    def body(driver: Any, dom: Any, fds: list[int], flags: int) -> int:
        dom.id = driver.domain_create_with_files(dom, flags, fds).id
        return 0

    return run(facts, body, domain, _fds(files), arg.u32(flags))


def virDomainCreateXMLWithFiles(connect: Any, xmlDesc: Any, files: Any, flags: Any, /) -> Any:
    facts = row.virDomainCreateXMLWithFiles

    def body(driver: Any, _conn: Any, xml: str | None, fds: list[int], flags: int) -> Any:
        if xml is None:
            raise _null(facts, "xmlDesc")
        return driver.domain_create_xml_with_files(xml, flags, fds)

    return run(facts, body, connect, arg.text(xmlDesc, facts.name, 2), _fds(files), arg.u32(flags))


def virDomainFDAssociate(domain: Any, name: Any, files: Any, flags: Any, /) -> Any:
    facts = row.virDomainFDAssociate

    def body(driver: Any, dom: Any, name: str | None, fds: list[int], flags: int) -> int:
        if name is None:
            raise _null(facts, "name")
        if not fds:
            message = f"nfds in {facts.name} must not be zero"
            raise invalid_argument(facts.name, "nfds", message, facts.domain)
        driver.domain_fd_associate(dom, name, flags, fds)
        return 0

    return run(facts, body, domain, arg.text(name, facts.name, 2), _fds(files), arg.u32(flags))


def virDomainOpenGraphics(domain: Any, idx: Any, fd: Any, flags: Any, /) -> Any:
    facts = row.virDomainOpenGraphics

    def body(driver: Any, dom: Any, idx: int, fd: int, flags: int) -> int:
        if fd < 0:
            message = f"fd in {facts.name} must be zero or greater"
            raise invalid_argument(facts.name, "fd", message, facts.domain)
        try:
            mode = os.fstat(fd).st_mode
        except OSError as error:
            raise report(
                c.VIR_ERR_SYSTEM_ERROR, facts.domain, f"Unable to access {fd}: {error.strerror}"
            ) from None
        if not stat.S_ISSOCK(mode):
            raise invalid_argument(facts.name, "fd", f"fd {fd} must be a socket", facts.domain)
        driver.domain_open_graphics(dom, idx, flags, [fd])
        return 0

    return run(facts, body, domain, arg.u32(idx), arg.i32(fd), arg.u32(flags))


def virDomainQemuMonitorCommandWithFiles(domain: Any, cmd: Any, files: Any, flags: Any, /) -> Any:
    """(result, descriptors)."""
    facts = row.virDomainQemuMonitorCommandWithFiles

    def body(driver: Any, dom: Any, cmd: str | None, fds: list[int], flags: int) -> Any:
        if cmd is None:
            raise _null(facts, "cmd")
        result, received = driver.qemu_domain_monitor_command_with_files(dom, cmd, flags, fds)
        return result, list(received)

    return run(facts, body, domain, arg.text(cmd, facts.name, 2), _fds(files), arg.u32(flags))


def virDomainLxcEnterCGroup(domain: Any, flags: Any, /) -> Any:
    """Not offered: it changes the calling process, on the container's own host only."""
    facts = row.virDomainLxcEnterCGroup

    def body(_driver: Any, _dom: Any, _flags: int) -> Any:
        raise no_support(facts.name, facts.domain)

    return run(facts, body, domain, arg.u32(flags))


# --- memory and disks -----------------------------------------------------------------------------


def _peek_size(facts: Any, size: int) -> None:
    if size < 0:  # how much is too much the driver knows
        message = f"size in {facts.name} must not be negative"
        raise invalid_argument(facts.name, "size", message, facts.domain)


def virDomainBlockPeek(domain: Any, disk: Any, offset: Any, size: Any, flags: Any, /) -> Any:
    facts = row.virDomainBlockPeek

    def body(driver: Any, dom: Any, disk: str | None, offset: int, size: int, flags: int) -> Any:
        if disk is None:
            raise _null(facts, "disk")
        _peek_size(facts, size)
        return driver.domain_block_peek(dom, disk, offset, size, flags)

    return run(
        facts,
        body,
        domain,
        arg.text(disk, facts.name, 2),
        arg.u64_masked(offset),
        arg.size(size),
        arg.u32(flags),
    )


def virDomainMemoryPeek(domain: Any, start: Any, size: Any, flags: Any, /) -> Any:
    facts = row.virDomainMemoryPeek

    def body(driver: Any, dom: Any, start: int, size: int, flags: int) -> Any:
        _peek_size(facts, size)
        return driver.domain_memory_peek(dom, start, size, flags)

    return run(facts, body, domain, arg.u64_masked(start), arg.size(size), arg.u32(flags))


# --- keys, clock, file systems --------------------------------------------------------------------


def virDomainSendKey(
    domain: Any, codeset: Any, holdtime: Any, keycodes: Any, nkeycodes: Any, flags: Any, /
) -> Any:
    facts = row.virDomainSendKey

    def body(driver: Any, dom: Any, codeset: int, hold: int, keys: list[int], *rest: int) -> int:
        count, flags = rest
        if not 0 <= codeset <= c.VIR_KEYCODE_SET_QNUM:
            number = codeset - (1 << 32) if codeset >> 31 else codeset
            message = f"Unsupported codeset '{number}'"
            raise invalid_argument(facts.name, "codeset", message, facts.domain)
        if count <= 0:
            message = f"nkeycodes in {facts.name} must be greater than zero"
            raise invalid_argument(facts.name, "nkeycodes", message, facts.domain)
        if count != len(keys):
            message = f"nkeycodes in {facts.name} must be the number of keycodes, {len(keys)}"
            raise invalid_argument(facts.name, "nkeycodes", message, facts.domain)
        driver.domain_send_key(dom, codeset, hold, keys, flags)
        return 0

    if not isinstance(keycodes, (list, tuple)):
        raise TypeError(f"keycodes must be a list, not {type(keycodes).__name__}")
    return run(
        facts,
        body,
        domain,
        arg.u32(codeset),
        arg.u32(holdtime),
        [arg.u32(key) for key in keycodes],
        arg.i32(nkeycodes),
        arg.u32(flags),
    )


def virDomainGetTime(domain: Any, flags: Any, /) -> Any:
    def body(driver: Any, dom: Any, flags: int) -> dict[str, int]:
        return shapes.guest_time(driver.domain_get_time(dom, flags))

    return run(row.virDomainGetTime, body, domain, arg.u32(flags))


def virDomainSetTime(domain: Any, time: Any, flags: Any, /) -> Any:
    """Set the guest's clock to {seconds, nseconds}; with flags it can also be told to find out."""
    seconds = nseconds = 0
    if isinstance(time, dict):
        if "seconds" not in time:
            raise LookupError("Dictionary must contains 'seconds'")
        if set(time) - {"seconds", "nseconds"}:
            raise LookupError("Dictionary contains unknown key")
        seconds = arg.i64(time["seconds"])
        nseconds = arg.u32(time.get("nseconds", 0))
    elif time is not None or not flags:
        raise TypeError("time must be a dictionary or None with flags set")

    def body(driver: Any, dom: Any, seconds: int, nseconds: int, flags: int) -> int:
        driver.domain_set_time(dom, seconds, nseconds, flags)
        return 0

    return run(row.virDomainSetTime, body, domain, seconds, nseconds, arg.u32(flags))


def virDomainFSFreeze(domain: Any, mountpoints: Any, flags: Any, /) -> Any:
    def body(driver: Any, dom: Any, mountpoints: list[str], flags: int) -> Any:
        return driver.domain_fsfreeze(dom, mountpoints, flags)

    return run(row.virDomainFSFreeze, body, domain, arg.texts(mountpoints) or [], arg.u32(flags))


def virDomainFSThaw(domain: Any, mountpoints: Any, flags: Any, /) -> Any:
    def body(driver: Any, dom: Any, mountpoints: list[str], flags: int) -> Any:
        return driver.domain_fsthaw(dom, mountpoints, flags)

    return run(row.virDomainFSThaw, body, domain, arg.texts(mountpoints) or [], arg.u32(flags))


# --- statistics of many ---------------------------------------------------------------------------


def virConnectGetAllDomainStats(connect: Any, stats: Any, flags: Any, /) -> Any:
    """[(handle, statistics)]."""

    def body(driver: Any, _conn: Any, stats: int, flags: int) -> Any:
        return shapes.domain_stats(driver.connect_get_all_domain_stats([], stats, flags))

    return run(row.virConnectGetAllDomainStats, body, connect, arg.u32(stats), arg.u32(flags))


def virDomainListGetStats(connect: Any, doms: Any, stats: Any, flags: Any, /) -> Any:
    """[(handle, statistics)] of some domains, all of this connection."""
    facts = row.virDomainListGetStats

    def body(driver: Any, conn: Any, doms: list[Any], stats: int, flags: int) -> Any:
        if not doms:
            detail = f"doms array in {facts.name} must contain at least one domain"
            raise report(c.VIR_ERR_INVALID_ARG, facts.domain, detail)
        for dom in doms:
            if argument(facts, "domain", dom).conn is not conn:
                detail = f"domains in 'doms' array in {facts.name} must belong to one connection"
                raise report(c.VIR_ERR_INVALID_ARG, facts.domain, detail)
        return shapes.domain_stats(driver.connect_get_all_domain_stats(doms, stats, flags))

    listed: list[DomainHandle] = list(doms)
    return run(facts, body, connect, listed, arg.u32(stats), arg.u32(flags))


def _null(facts: Any, name: str) -> Exception:
    return invalid_argument(
        facts.name, name, f"{name} in {facts.name} must not be NULL", facts.domain
    )
