# SPDX-License-Identifier: LGPL-2.1-or-later
"""identity.py: who a document speaks of, before anything else of it is believed.

Called by: drivers, for access checks before the full parse. Calls: nodes.py, errors.
Never: fills in anything.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from libvirtcore.conf.nodes import Node, read_document
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_NO_NAME,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_XML,
)

_UUID = re.compile(r"(?:[0-9a-fA-F]-?){32}\Z")


def parse_uuid(text: str) -> str | None:
    """A uuid in its usual spelling, None if the text is none."""
    word = text.strip(" \t\r\n\v\f")
    # hyphens may stand between bytes, not within one
    compact = word.replace("-", "")
    if len(compact) != 32 or _UUID.match(word.rstrip("-")) is None:
        return None
    low = compact.lower()
    return f"{low[:8]}-{low[8:12]}-{low[12:16]}-{low[16:20]}-{low[20:]}"


def check_name(name: str) -> str:
    """A domain's name, or the error of one that cannot be a file's name.

    Newlines and other control characters are refused: a name stands in paths and logs.
    """
    if not name:
        raise report(VIR_ERR_NO_NAME, VIR_FROM_DOMAIN)
    if "/" in name:
        raise report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, f"name {name} cannot contain '/'")
    for bad in ("\n", "\0"):
        if bad in name:
            raise VirError(
                VIR_ERR_XML_DETAIL, VIR_FROM_XML, f"invalid char in name: {bad}",
                str1="%s", str2=f"invalid char in name: {bad}",
            )  # fmt: skip
    return name


class Identity(NamedTuple):
    """Name and uuid of a document; the uuid is None when it is to be made up."""

    name: str
    uuid: str | None

    @classmethod
    def peek(cls, xml: str, root: str = "domain") -> Identity:
        """The identity a full parse would find, at a fraction of its cost.

        Raises: VirError of a document that is malformed, hostile or anonymous.
        """
        node, _ = read_document(xml, root, only=("name", "uuid"))
        return cls.of(node)

    @classmethod
    def of(cls, node: Node) -> Identity:
        """The identity stated below a root element: the first of each counts."""
        name = uuid = None
        for child in node.children:
            if child.tag == "name" and name is None:
                name = child.text
            elif child.tag == "uuid" and uuid is None:
                uuid = child.text
        if not name:
            raise report(VIR_ERR_NO_NAME, VIR_FROM_DOMAIN)
        known = None
        if uuid:
            known = parse_uuid(uuid)
            if known is None:
                raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN, "malformed uuid element")
        return cls(check_name(name), known)
