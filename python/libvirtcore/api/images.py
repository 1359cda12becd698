# SPDX-License-Identifier: LGPL-2.1-or-later
"""images.py: the door's functions that name a file: saved guests and core dumps.

The file is opened by another process, so a relative path is made absolute here.
Called by: libvirtmod.
Never: opens or looks at the file.
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.api import args as arg
from libvirtcore.api.call import Row, call
from libvirtcore.generated import api_table as row

__all__ = [
    "virDomainCoreDump",
    "virDomainCoreDumpWithFormat",
    "virDomainRestore",
    "virDomainRestoreFlags",
    "virDomainSave",
    "virDomainSaveFlags",
    "virDomainSaveImageDefineXML",
    "virDomainSaveImageGetXMLDesc",
]


def _path(value: Any, facts: Row) -> str | None:
    """A path from the root; what it contains besides is not touched."""
    path = arg.text(value, facts.name, 2)
    if path is None or path.startswith("/"):
        return path
    return f"{os.getcwd()}/{path}"


def _done(result: Any) -> int:
    """0 for a call that returned nothing, -1 for one that failed."""
    return 0 if result is None else -1


def virDomainSave(domain: Any, to: Any, /) -> int:
    return _done(call(row.virDomainSave, domain, _path(to, row.virDomainSave)))


def virDomainSaveFlags(domain: Any, to: Any, dxml: Any, flags: Any, /) -> int:
    facts = row.virDomainSaveFlags
    xml = arg.text(dxml, facts.name, 3)
    return _done(call(facts, domain, _path(to, facts), xml, arg.u32(flags)))


def virDomainRestore(connect: Any, frm: Any, /) -> int:
    return _done(call(row.virDomainRestore, connect, _path(frm, row.virDomainRestore)))


def virDomainRestoreFlags(connect: Any, frm: Any, dxml: Any, flags: Any, /) -> int:
    facts = row.virDomainRestoreFlags
    xml = arg.text(dxml, facts.name, 3)
    return _done(call(facts, connect, _path(frm, facts), xml, arg.u32(flags)))


def virDomainSaveImageGetXMLDesc(connect: Any, file: Any, flags: Any, /) -> Any:
    facts = row.virDomainSaveImageGetXMLDesc
    return call(facts, connect, _path(file, facts), arg.u32(flags))


def virDomainSaveImageDefineXML(connect: Any, file: Any, dxml: Any, flags: Any, /) -> int:
    facts = row.virDomainSaveImageDefineXML
    xml = arg.text(dxml, facts.name, 3)
    return _done(call(facts, connect, _path(file, facts), xml, arg.u32(flags)))


def virDomainCoreDump(domain: Any, to: Any, flags: Any, /) -> int:
    facts = row.virDomainCoreDump
    return _done(call(facts, domain, _path(to, facts), arg.u32(flags)))


def virDomainCoreDumpWithFormat(domain: Any, to: Any, dumpformat: Any, flags: Any, /) -> int:
    facts = row.virDomainCoreDumpWithFormat
    number = arg.u32(dumpformat)
    return _done(call(facts, domain, _path(to, facts), number, arg.u32(flags)))
