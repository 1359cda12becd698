# SPDX-License-Identifier: LGPL-2.1-or-later
"""security.py: labels, memory encryption, key wrapping, and what SMBIOS tells.

Called by: domain.py. Calls: schema.py.
Never: labels anything.
"""

from __future__ import annotations

import re

from libvirtcore.conf.identity import parse_uuid
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint
from libvirtcore.conf.schema import LIVE, Element, attribute, child, children, leaf, text
from libvirtcore.conf.values import ONOFF, STRING, UINT, WORD, YESNO, Choice, hexadecimal
from libvirtcore.errors import report
from libvirtcore.generated.constants import VIR_ERR_XML_DETAIL, VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN


class DomainSeclabel(Element):
    """How a security driver labels the guest."""

    type = attribute(Choice("none", "dynamic", "static"))
    model = attribute(STRING)
    relabel = attribute(YESNO)
    label = leaf(WORD)
    imagelabel = leaf(WORD, secret=LIVE)
    baselabel = leaf(WORD)

    def parsed(self, node: Node) -> None:
        if self.type == "none" and self.model is None:
            self.model = "none"
        if self.type == "static" and self.label is None:
            raise complaint((VIR_ERR_XML_ERROR, "security label is missing"))


class Cipher(Element):
    """A cipher whose keys are wrapped."""

    name = attribute(Choice("aes", "dea"), required=True)
    state = attribute(ONOFF, required=True)


class KeyWrap(Element):
    """Protected keys of s390."""

    ciphers = children(Cipher, "cipher")


_POLICY = (VIR_ERR_XML_ERROR, "failed to get launch security policy")


class LaunchSecurity(Element):
    """Encrypted guests: AMD SEV, s390 PV."""

    KIND = "type"
    KINDS = frozenset(("sev", "s390-pv"))

    type = attribute(Choice("sev", "s390-pv"), required=True)
    kernel_hashes = attribute(YESNO, "kernelHashes", when=("sev",))
    cbitpos = leaf(UINT, when=("sev",))
    reduced_phys_bits = leaf(UINT, "reducedPhysBits", when=("sev",))
    policy = leaf(hexadecimal(4), when=("sev",), bad=_POLICY)
    dh_cert = leaf(WORD, "dhCert", when=("sev",))
    session = leaf(WORD, when=("sev",))

    def parsed(self, node: Node) -> None:
        if self.type == "sev" and self.policy is None:
            raise complaint(_POLICY)


class SysinfoEntry(Element):
    """A name and what it says."""

    name = attribute(STRING)
    file = attribute(STRING)
    value = text(WORD)


class SysinfoBlock(Element):
    """One block of SMBIOS."""

    entrys = children(SysinfoEntry, "entry")

    def arrange(self, known: tuple[str, ...]) -> None:
        """Keep the first entry of each name SMBIOS knows, in its order."""
        found: dict[str, SysinfoEntry] = {}
        for entry in self.entrys:
            if entry.name in known:
                found.setdefault(entry.name, entry)
        self.entrys = [found[name] for name in known if name in found]

    def check(self, name: str) -> None:
        """Two values have a form of their own."""
        for entry in self.entrys:
            value = entry.value or ""
            if name == "system" and entry.name == "uuid":
                if parse_uuid(value) is None:
                    raise complaint((VIR_ERR_XML_DETAIL, "malformed <sysinfo> uuid element"))
            elif name == "bios" and entry.name == "date" and _DATE.match(value) is None:
                raise complaint((VIR_ERR_XML_DETAIL, "Invalid BIOS 'date' format"))


SMBIOS = {
    "bios": ("vendor", "version", "date", "release"),
    "system": ("manufacturer", "product", "version", "serial", "uuid", "sku", "family"),
    "baseBoard": ("manufacturer", "product", "version", "serial", "asset", "location"),
    "chassis": ("manufacturer", "version", "serial", "asset", "sku"),
}  # the names each block has, in libvirt's order


_DATE = re.compile(r"\d{1,2}/\d{1,2}/(\d{2}|(19|[2-9]\d)\d{2})\Z", re.ASCII)


class Sysinfo(Element):
    """What SMBIOS, or the firmware's configuration, tells the guest."""

    type = attribute(Choice("smbios", "fwcfg"), required=True)
    bios = child(SysinfoBlock)
    system = child(SysinfoBlock)
    base_boards = children(SysinfoBlock, "baseBoard", empty=False)
    chassis = child(SysinfoBlock)
    oem_strings = child(SysinfoBlock, "oemStrings")
    entrys = children(SysinfoEntry, "entry")

    def parsed(self, node: Node) -> None:
        for name, known in SMBIOS.items():
            blocks = self.base_boards if name == "baseBoard" else [getattr(self, name)]
            for block in blocks:
                if block is not None:
                    block.arrange(known)
                    block.check(name)
            if name != "baseBoard" and blocks[0] is not None and blocks[0].blank:
                setattr(self, name, None)
        self.base_boards = [block for block in self.base_boards if not block.blank]
        if self.type == "fwcfg":
            for entry in self.entrys:
                if not entry.name:
                    raise report(
                        VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                        "Firmware entry is missing 'name' attribute",
                    )  # fmt: skip
