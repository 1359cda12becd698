# SPDX-License-Identifier: LGPL-2.1-or-later
"""metadata.py: titles, descriptions and applications' own XML of domains.

Called by: drivers.qemu.driver (mixin). Calls: conf.
Never: understands what applications keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libvirtcore.conf.raw import ELEMENT, Metadata, RawNode, parse_raw
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    one_model,
    replace_config,
    save_live,
)  # fmt: skip
from libvirtcore.drivers.qemu.guest import check_flags
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

if TYPE_CHECKING:
    from libvirtcore.conf import Domain

_DESCRIPTION, _TITLE, _ELEMENT = range(3)


class MetadataCalls(Calls):
    """The calls about metadata."""

    def domain_set_metadata(
        self,
        dom: DomainHandle,
        type: int,
        metadata: str | None,
        key: str | None,
        uri: str | None,
        flags: int,
    ) -> None:
        check_flags("qemuDomainSetMetadata", flags, LIVE | CONFIG)
        with self._job(dom, "DomainSetMetadata") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            if config is not None:
                _set(config, type, metadata, key, uri)
            if flags & LIVE and guest.live is not None:
                with guest.lock:
                    _set(guest.live, type, metadata, key, uri)
                save_live(guest)
            if config is not None:
                replace_config(guest, config)
            told = uri if type == _ELEMENT else None
            self.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, (type, told))

    def domain_get_metadata(self, dom: DomainHandle, type: int, uri: str | None, flags: int) -> str:
        check_flags("qemuDomainGetMetadata", flags, LIVE | CONFIG)
        guest = self.host.find(dom)
        with guest.lock:
            found = _get(one_model(guest, flags), type, uri)
        if found is None:
            raise report(
                c.VIR_ERR_NO_DOMAIN_METADATA,
                c.VIR_FROM_DOMAIN,
                "Requested metadata element is not present",
            )
        return found


def _set(model: Domain, kind: int, text: str | None, key: str | None, uri: str | None) -> None:
    if kind == _DESCRIPTION:
        model.description = text or None
    elif kind == _TITLE:
        model.title = text or None
    elif kind == _ELEMENT:
        kept = model.metadata.copy() if model.metadata is not None else Metadata()
        if text is not None:
            try:
                parse_raw(text, {})
            except VirError as fault:
                raise report(
                    c.VIR_ERR_XML_ERROR, c.VIR_FROM_DOMAIN, f"(metadata_xml): {fault.message}"
                ) from None
        kept.set(uri or "", key or "", text)
        model.metadata = kept if kept.nodes else None
    else:
        raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_DOMAIN, "unknown metadata type")


def _get(model: Domain, kind: int, uri: str | None) -> str | None:
    if kind == _DESCRIPTION:
        return model.description
    if kind == _TITLE:
        return model.title
    if kind != _ELEMENT:
        raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_DOMAIN, "unknown metadata type")
    for node in model.metadata.nodes if model.metadata is not None else ():
        if node.namespace == uri:
            kept = Metadata()
            kept._nodes = [_unprefixed(node)]
            return kept.get(uri or "")
    return None


def _unprefixed(top: RawNode) -> RawNode:
    """A copy of an element as it was given, before it got a prefix of its own."""
    prefix = top.text.rpartition(":")[0]

    def strip(node: RawNode) -> RawNode:
        name = node.text
        if node.kind == ELEMENT and prefix and name.startswith(f"{prefix}:"):
            name = name[len(prefix) + 1 :]
        copy = RawNode(node.kind, name, list(node.attributes), [], node.namespace)
        if node is top:
            declared = f"xmlns:{prefix}" if prefix else "xmlns"
            copy.attributes = [item for item in copy.attributes if item[0] != declared]
        copy.children = [strip(child) for child in node.children]
        return copy

    return strip(top)
