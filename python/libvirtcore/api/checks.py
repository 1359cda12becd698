# SPDX-License-Identifier: LGPL-2.1-or-later
"""checks.py: what the public functions refuse before they ask a driver.

A check gets the call's row, its object and the other arguments, and raises VirError. Those that
follow from the wire come with the row; CHECKS has the others, function by function. Arguments are
counted as the driver gets them; flags are always the last.
Called by: libvirtcore.api.call, libvirtcore.api.migrate. Never: asks a driver.
"""

from __future__ import annotations

from libvirtcore.errors import VirError, invalid_argument, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from libvirtcore.api.call import Row

Check: TypeAlias = "Callable[[Row, Any, tuple[Any, ...]], None]"


def refuse(row: Row, name: str, what: str) -> VirError:
    """The error of a bad argument; `what` continues "NAME in FUNCTION"."""
    return invalid_argument(row.name, name, f"{name} in {row.name} {what}", row.domain)


# --- what follows from the wire -------------------------------------------------------------------


def missing(index: int, name: str) -> Check:
    """Refuse None."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] is None:
            raise refuse(row, name, "must not be NULL")

    return check


def uuid(index: int, name: str) -> Check:
    """Refuse None and what is not 16 bytes long."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        value = args[index]
        if value is None:
            raise refuse(row, name, "must not be NULL")
        if len(value) != 16:
            raise refuse(row, name, f"must have 16 bytes, not {len(value)}")

    return check


def is_object(index: int, cls: type[Any], code: int, domain: int) -> Check:
    """Refuse an argument that is no live object of this kind."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        value = args[index]
        if value.__class__ is cls and not value._freed:
            return
        if value is not None and not isinstance(value, (Handle, ConnectHandle)):
            raise TypeError(f"{row.name}() takes a handle, not {type(value).__name__}")
        raise report(code, domain, row.name)

    return check


def not_read_only(index: int, bits: int, by_bits: bool, secret: bool) -> Check:
    """Refuse some flags, or one value; asked only on read-only connections."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if (args[index] & bits) if by_bits else (args[index] == bits):
            detail = (
                f"{row.name} with secure flag"
                if secret
                else f"read only access prevents {row.name}"
            )
            raise report(c.VIR_ERR_OPERATION_DENIED, row.domain, detail)

    return check


# --- numbers and texts ----------------------------------------------------------------------------


def not_zero(index: int, name: str) -> Check:
    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] == 0:
            raise refuse(row, name, "must not be zero")

    return check


def positive(index: int, name: str) -> Check:
    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] <= 0:
            raise refuse(row, name, "must be greater than zero")

    return check


def not_negative(index: int, name: str) -> Check:
    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] < 0:
            raise refuse(row, name, "must be zero or greater")

    return check


def only_minus_one(index: int, name: str) -> Check:
    """Of negative numbers only -1 means something."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] < -1:
            raise refuse(row, name, "only accepts -1 as a negative value")

    return check


def not_empty(index: int, name: str) -> Check:
    """Refuse None and ""."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] is None:
            raise refuse(row, name, "must not be NULL")
        if args[index] == "":
            message = f"string {name} in {row.name} must not be empty"
            raise invalid_argument(row.name, name, message, row.domain)

    return check


def fits_memory(index: int) -> Check:
    """Refuse KiB whose number of bytes does not fit a long long."""

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[index] >= (1 << 53) - 1:
            raise report(c.VIR_ERR_OVERFLOW, row.domain, f"input too large: {args[index]}")

    return check


def core_format(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
    """Refuse formats of core dumps that have no number."""
    if not 0 <= args[1] <= c.VIR_DOMAIN_CORE_DUMP_FORMAT_WIN_DMP:
        number = args[1] - (1 << 32) if args[1] >> 31 else args[1]
        message = f"dumpformat '{number}' is not supported"
        raise invalid_argument(row.name, "flags", message, row.domain)


# --- flags ----------------------------------------------------------------------------------------


def exclusive(*names: str) -> Check:
    """Refuse the first of these flags together with another one of them."""
    first, *others = ((name, int(getattr(c, name))) for name in names)

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        flags = args[-1]
        if flags & first[1]:
            for name, bit in others:
                if flags & bit:
                    raise exclusive_flags(row, first[0], name)

    return check


def exclusive_flags(row: Row, one: str, other: str) -> VirError:
    message = f"Flags '{one}' and '{other}' are mutually exclusive"
    return invalid_argument(row.name, "ctl", message, row.domain)


def needs(name: str, *needed: str) -> Check:
    """Refuse a flag without another one, of several without any."""
    bit = int(getattr(c, name))
    wanted = 0
    for other in needed:
        wanted |= int(getattr(c, other))

    def check(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
        if args[-1] & bit and not args[-1] & wanted:
            message = f"Flag '{' | '.join(needed)}' is required by flag '{name}'"
            raise invalid_argument(row.name, "ctl", message, row.domain)

    return check


# --- several arguments at once --------------------------------------------------------------------


def metadata_to_set(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
    """Titles and descriptions have no namespace, elements need one."""
    kind, metadata, key, uri = args[:4]
    if kind == c.VIR_DOMAIN_METADATA_TITLE and metadata and "\n" in metadata:
        message = "metadata title can't contain newlines"
        raise invalid_argument(row.name, "metadata", message, row.domain)
    if kind in (c.VIR_DOMAIN_METADATA_TITLE, c.VIR_DOMAIN_METADATA_DESCRIPTION):
        for name, value in (("uri", uri), ("key", key)):
            if value is not None:
                raise refuse(row, name, "must be NULL")
    elif kind == c.VIR_DOMAIN_METADATA_ELEMENT:
        if uri is None:
            raise refuse(row, "uri", "must not be NULL")
        if metadata is not None and key is None:
            raise refuse(row, "key", "must not be NULL")


def metadata_to_get(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
    kind, uri = args[:2]
    if kind in (c.VIR_DOMAIN_METADATA_TITLE, c.VIR_DOMAIN_METADATA_DESCRIPTION):
        if uri is not None:
            raise refuse(row, "uri", "must be NULL")
    elif kind == c.VIR_DOMAIN_METADATA_ELEMENT and uri is None:
        raise refuse(row, "uri", "must not be NULL")


def rebase_is_copy(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
    """Most flags of a rebase ask for a copy, and a copy needs a destination."""
    _disk, base, _bandwidth, flags = args
    if flags & c.VIR_DOMAIN_BLOCK_REBASE_COPY:
        if base is None:
            raise refuse(row, "base", "must not be NULL")
    elif flags & (
        c.VIR_DOMAIN_BLOCK_REBASE_SHALLOW
        | c.VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT
        | c.VIR_DOMAIN_BLOCK_REBASE_COPY_RAW
        | c.VIR_DOMAIN_BLOCK_REBASE_COPY_DEV
    ):
        message = "use of flags requires a copy job"
        raise invalid_argument(row.name, "flags", message, row.domain)


def resize_to_zero(row: Row, _handle: Any, args: tuple[Any, ...]) -> None:
    capacity, flags = args
    if capacity == 0 and not flags & (
        c.VIR_STORAGE_VOL_RESIZE_DELTA | c.VIR_STORAGE_VOL_RESIZE_SHRINK
    ):
        raise refuse(row, "capacity", "cannot be zero without 'delta' or 'shrink' flags set")


def same_connection(what: str) -> Check:
    """Refuse a stream, the last argument, of another connection than the object's."""

    def check(row: Row, handle: Any, args: tuple[Any, ...]) -> None:
        if args[-1].conn is not handle.conn:
            raise refuse(row, "stream", f"must match connection of {what} '{handle.name}'")

    return check


_MEMORY = (not_zero(0, "memory"), fits_memory(0))
_LIVE_OR_CONFIG = (exclusive("VIR_DOMAIN_AFFECT_LIVE", "VIR_DOMAIN_AFFECT_CONFIG"),)
_SAVE = (exclusive("VIR_DOMAIN_SAVE_RUNNING", "VIR_DOMAIN_SAVE_PAUSED"),)
_DUMP = (
    exclusive("VIR_DUMP_CRASH", "VIR_DUMP_LIVE", "VIR_DUMP_RESET"),
    exclusive("VIR_DUMP_LIVE", "VIR_DUMP_RESET"),
)


def _each(names: Iterable[str], *checks: Check) -> dict[str, tuple[Check, ...]]:
    return dict.fromkeys(names, checks)


CHECKS: dict[str, tuple[Check, ...]] = {
    **_each(
        (
            "virDomainGetBlkioParameters",
            "virDomainGetBlockIoTune",
            "virDomainGetEmulatorPinInfo",
            "virDomainGetIOThreadInfo",
            "virDomainGetMemoryParameters",
            "virDomainGetSchedulerParametersFlags",
            "virDomainGetVcpuPinInfo",
            "virDomainGetVcpusFlags",
        ),
        *_LIVE_OR_CONFIG,
    ),
    **_each(
        (
            "virDomainManagedSave",
            "virDomainManagedSaveDefineXML",
            "virDomainRestoreParams",
            "virDomainSaveParams",
        ),
        *_SAVE,
    ),
    "virDomainAuthorizedSSHKeysSet": (
        exclusive(
            "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND", "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE"
        ),
    ),
    "virDomainBlockPeek": (not_empty(0, "disk"),),
    "virDomainBlockRebase": (rebase_is_copy,),
    "virDomainCheckpointCreateXML": (
        needs(
            "VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE",
            "VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE",
        ),
        exclusive("VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE", "VIR_DOMAIN_CHECKPOINT_CREATE_QUIESCE"),
    ),
    "virDomainCoreDump": (missing(0, "to"), *_DUMP),
    "virDomainCoreDumpWithFormat": (missing(0, "to"), core_format, *_DUMP),
    "virDomainDelIOThread": (not_zero(0, "iothread_id"),),
    "virDomainGetBlockInfo": (not_empty(0, "disk"),),
    "virDomainGetJobStats": (
        needs("VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED", "VIR_DOMAIN_JOB_STATS_COMPLETED"),
    ),
    "virDomainGetMetadata": (*_LIVE_OR_CONFIG, metadata_to_get),
    "virDomainLookupByID": (not_negative(0, "id"),),
    "virDomainMemoryPeek": (exclusive("VIR_MEMORY_VIRTUAL", "VIR_MEMORY_PHYSICAL"),),
    "virDomainOpenChannel": (same_connection("domain"),),
    "virDomainOpenConsole": (same_connection("domain"),),
    "virDomainRename": (not_empty(0, "new_name"),),
    "virDomainQemuAttach": (positive(0, "pid_value"),),
    "virDomainRestore": (missing(0, "from"),),
    "virDomainRestoreFlags": (missing(0, "from"), *_SAVE),
    "virDomainRevertToSnapshot": (
        exclusive("VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING", "VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED"),
    ),
    "virDomainSave": (missing(0, "to"),),
    "virDomainSaveFlags": (missing(0, "to"), *_SAVE),
    "virDomainSaveImageDefineXML": (missing(0, "file"), missing(1, "dxml"), *_SAVE),
    "virDomainSaveImageGetXMLDesc": (missing(0, "file"),),
    "virDomainScreenshot": (same_connection("domain"),),
    "virDomainSendProcessSignal": (not_zero(0, "pid_value"),),
    "virDomainSetMaxMemory": _MEMORY,
    "virDomainSetMemory": _MEMORY,
    "virDomainSetMemoryFlags": _MEMORY,
    "virDomainSetMemoryStatsPeriod": (not_negative(0, "period"),),
    "virDomainSetMetadata": (metadata_to_set,),
    "virDomainSetUserPassword": (missing(0, "user"), missing(1, "password")),
    "virDomainSetVcpus": (not_zero(0, "nvcpus"),),
    "virDomainSetVcpusFlags": (
        needs("VIR_DOMAIN_VCPU_MAXIMUM", "VIR_DOMAIN_AFFECT_CONFIG"),
        exclusive("VIR_DOMAIN_VCPU_GUEST", "VIR_DOMAIN_AFFECT_CONFIG"),
        not_zero(0, "nvcpus"),
    ),
    "virDomainSnapshotCreateXML": (
        needs("VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT", "VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE"),
        exclusive(
            "VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE",
            "VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA",
            "VIR_DOMAIN_SNAPSHOT_CREATE_HALT",
        ),
    ),
    "virDomainSnapshotDelete": (
        exclusive(
            "VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN", "VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN_ONLY"
        ),
    ),
    "virDomainStartDirtyRateCalc": (
        exclusive("VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP", "VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING"),
    ),
    "virNetworkGetMetadata": (*_LIVE_OR_CONFIG, metadata_to_get),
    "virNetworkSetMetadata": (metadata_to_set,),
    "virNodeAllocPages": (not_zero(-2, "cellCount"),),
    "virNodeGetCPUStats": (only_minus_one(0, "cpuNum"),),
    "virNodeGetCellsFreeMemory": (not_negative(0, "startCell"),),
    "virNodeGetMemoryStats": (only_minus_one(1, "cellNum"),),
    "virStorageVolDownload": (same_connection("volume"),),
    "virStorageVolResize": (resize_to_zero,),
    "virStorageVolUpload": (same_connection("volume"),),
}
