# SPDX-License-Identifier: LGPL-2.1-or-later
"""boot.py: what a guest boots: firmware, kernel, devices, and what its BIOS says.

Called by: domain.py. Calls: schema.py, storage.py.
Never: looks for firmware on the host.
"""

from __future__ import annotations

from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint
from libvirtcore.conf.schema import Element, attribute, child, children, leaf, leaves, text
from libvirtcore.conf.storage import SOURCE_TYPES, Source
from libvirtcore.conf.values import STRING, UINT, ULONG, WORD, YESNO, Choice, Integer
from libvirtcore.generated.constants import VIR_ERR_CONFIG_UNSUPPORTED, VIR_ERR_XML_ERROR

ARCHITECTURES = (
    "alpha", "armv6l", "armv7l", "armv7b", "aarch64", "cris", "i686", "ia64", "lm32", "loongarch64",
    "m68k", "microblaze", "microblazeel", "mips", "mipsel", "mips64", "mips64el", "openrisc",
    "parisc", "parisc64", "ppc", "ppcle", "ppc64", "ppc64le", "ppcemb", "riscv32", "riscv64",
    "s390", "s390x", "sh4", "sh4eb", "sparc", "sparc64", "unicore32", "x86_64", "xtensa",
    "xtensaeb",
)  # fmt: skip


class OsType(Element):
    """What the guest is: architecture, machine, and `hvm` for full virtualization."""

    arch = attribute(
        Choice(*ARCHITECTURES), bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Unknown architecture %s")
    )
    machine = attribute(STRING)
    value = text(
        Choice("hvm", "xen", "linux", "exe", "uml", "xenpvh"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown OS type '%s'"),
    )


class FirmwareFeature(Element):
    """A feature firmware must or must not have when one is chosen."""

    enabled = attribute(YESNO, required=True)
    name = attribute(Choice("enrolled-keys", "secure-boot"), required=True)


class Firmware(Element):
    """What to look for when firmware is chosen."""

    features = children(FirmwareFeature, "feature")


class Loader(Element):
    """The firmware image."""

    readonly = attribute(YESNO)
    secure = attribute(YESNO)
    type = attribute(Choice("rom", "pflash"))
    stateless = attribute(YESNO)
    value = text(WORD)


class Nvram(Element):
    """The firmware's variables: a file, or an image like a disk's source."""

    KIND = "type"
    KINDS = frozenset(SOURCE_TYPES)

    type = attribute(Choice(*SOURCE_TYPES))
    template = attribute(STRING)
    source = child(Source)
    value = text(WORD)


class BootDev(Element):
    """A kind of device to boot from."""

    dev = attribute(
        Choice("fd", "cdrom", "hd", "network"),
        required=True,
    )


class BootMenu(Element):
    """Whether the firmware shows a menu, and how long."""

    enable = attribute(YESNO)
    timeout = attribute(ULONG)


_REBOOT = (
    VIR_ERR_CONFIG_UNSUPPORTED,
    "invalid value for rebootTimeout, must be in range [-1,65535]",
)


class Bios(Element):
    """Serial output and reboot delay of a BIOS."""

    useserial = attribute(YESNO)
    reboot_timeout = attribute(Integer(-1, 65535), "rebootTimeout", bad=_REBOOT)


class SmbiosMode(Element):
    """Where SMBIOS tables come from."""

    mode = attribute(
        Choice("emulate", "host", "sysinfo"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown smbios mode '%s'"),
    )


class AcpiTable(Element):
    """An ACPI table from a file."""

    type = attribute(Choice("slic", "raw"))
    value = text(STRING)


class OsAcpi(Element):
    """Additional ACPI tables."""

    tables = children(AcpiTable, "table")


class InitEnv(Element):
    """A variable for a container's init."""

    name = attribute(STRING)
    value = text(STRING)


class IdRange(Element):
    """A range of a container's ids, and where it lies on the host."""

    start = attribute(UINT)
    target = attribute(UINT)
    count = attribute(UINT)


class IdMap(Element):
    """The users and groups of a container."""

    uids = children(IdRange, "uid")
    gids = children(IdRange, "gid")

    def parsed(self, node: Node) -> None:
        if bool(self.uids) != bool(self.gids):
            raise complaint((VIR_ERR_CONFIG_UNSUPPORTED, "uid and gid should be mapped both"))
        self.uids.sort(key=lambda each: each.start or 0)
        self.gids.sort(key=lambda each: each.start or 0)


class Os(Element):
    """What boots."""

    firmware = attribute(
        Choice("bios", "efi"), bad=(VIR_ERR_XML_ERROR, "unknown firmware value %s")
    )
    type = child(OsType)
    firmware_ = child(Firmware, "firmware")
    init = leaf(WORD)
    initargs = leaves(STRING, "initarg")
    initenvs = children(InitEnv, "initenv")
    initdir = leaf(WORD)
    inituser = leaf(WORD)
    initgroup = leaf(WORD)
    loader = child(Loader)
    nvram = child(Nvram)
    kernel = leaf(WORD)
    initrd = leaf(WORD)
    cmdline = leaf(WORD)
    dtb = leaf(WORD)
    root = leaf(WORD)
    acpi = child(OsAcpi)
    boots = children(BootDev, "boot")
    bootmenu = child(BootMenu)
    bios = child(Bios)
    smbios = child(SmbiosMode)

    def parsed(self, node: Node) -> None:
        if self.loader is not None and self.loader.value is not None and self.loader.type is None:
            self.loader.type = "rom"
        if self.type is not None and self.type.value != "exe":
            for name in ("init", "initdir", "inituser", "initgroup"):
                self.__dict__.pop(name, None)
            self.initargs, self.initenvs = [], []
        if self.firmware_ is not None:
            self.firmware_.features.sort(key=lambda feature: feature.name)
