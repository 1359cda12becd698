# SPDX-License-Identifier: LGPL-2.1-or-later
"""record.py: writes data/recorded.json: what the real library makes of our documents.

    /usr/bin/python3 tests/conf/record.py

Each document of data/recorded.json is defined on the real library's own test:///default, which
adds hardly anything of a hypervisor's; its dump or its error is kept beside the document.
Called by: people, after adding a document. Calls: the real python3-libvirt.
Never: runs as part of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "recorded.json"


def record(documents: list[str]) -> list[dict[str, Any]]:
    """Document, and dump or error, each."""
    import libvirt  # type: ignore[import-untyped, unused-ignore]  # the real one

    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open("test:///default")
    found: list[dict[str, Any]] = []
    for document in documents:
        entry: dict[str, Any] = {"xml": document}
        try:
            domain = connection.defineXML(document)
            secure, inactive = 1, 2
            entry["dump"] = domain.XMLDesc(secure | inactive)
            domain.undefine()
        except libvirt.libvirtError as error:
            entry["error"] = [
                error.get_error_code(), error.get_error_domain(), error.get_error_message(),
            ]  # fmt: skip
        found.append(entry)
    return found


def main() -> None:
    """Record every document of the file again."""
    documents = [entry["xml"] for entry in json.loads(DATA.read_text())]
    lines = [json.dumps(entry, ensure_ascii=False) for entry in record(documents)]
    DATA.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
