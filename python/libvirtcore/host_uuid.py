# SPDX-License-Identifier: LGPL-2.1-or-later
"""host_uuid.py: the number that tells this host from all others.

It comes from the configuration, the firmware (smbios), or /etc/machine-id; a host that has none
gets one that lasts as long as the process.
Called by: libvirtd (settings host_uuid, host_uuid_source), drivers that describe their host.
Never: asks the firmware before somebody wants the number.
"""

from __future__ import annotations

SMBIOS, MACHINE_ID = "smbios", "machine-id"
_FILES = {SMBIOS: "/sys/class/dmi/id/product_uuid", MACHINE_ID: "/etc/machine-id"}
_HEX = "0123456789abcdef"

_source = SMBIOS
_uuid = ""


def normalize(text: str) -> str | None:
    """A UUID as libvirt writes it; None for what is none, or has the same digit everywhere."""
    digits = "".join(text.split()).replace("-", "").lower()
    if len(digits) != 32 or any(digit not in _HEX for digit in digits) or len(set(digits)) == 1:
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def set_host_uuid(uuid: str | None, source: str = SMBIOS) -> None:
    """Use this UUID, already normalized, or the one that a source has."""
    global _uuid, _source
    _uuid, _source = uuid or "", source


def host_uuid() -> str:
    """The host's UUID."""
    global _uuid
    if not _uuid:
        _uuid = _read(_FILES.get(_source, "")) or _invent()
    return _uuid


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return normalize(file.read(64))
    except OSError:
        return None


def _invent() -> str:
    import uuid

    return str(uuid.uuid4())
