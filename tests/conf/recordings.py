# SPDX-License-Identifier: LGPL-2.1-or-later
"""recordings.py: data/recorded.json, and where we differ from it for a reason.

Called by: test_recordings.py, test_roundtrip.py. Calls: nothing.
Never: holds a difference without its reason.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data" / "recorded.json"


class Recording(NamedTuple):
    """A document, and what the real library dumped or said of it."""

    xml: str
    dump: str | None
    error: tuple[int, int, str] | None


def load() -> list[Recording]:
    """All recordings."""
    return [
        Recording(r["xml"], r.get("dump"), tuple(r["error"]) if "error" in r else None)
        for r in json.loads(DATA.read_text())
    ]


# What a document holds → why we do not answer as the recording does.
DIFFERENCES: dict[str, str] = {
    "<!DOCTYPE": "document types are refused, not expanded",
    "<resource/>": "the library fails without saying why; an empty element means nothing",
    "<lease><key>k</key></lease>": "the library fails without saying why",
    "<lease><key>k</key><target/></lease>": "the library fails without saying why",
    "<name>a/b</name></domain>": "the name is checked before everything else",
    "<name>a&#10;b</name>": "the name is checked before everything else",
    "address='zz' port='1'": "the guest's address is looked up by the driver, not while parsing",
    "address='1.2.3.4' port='x'": "one text for a bad port of any character device",
    "<vcpusched/>": "of two missing attributes the other is named",
    "</os><os>": "the first of several singletons counts as a whole",
    "type='passt'": "newer than the recorded library",
    "<knownHosts": "newer than the recorded library",
    "<redirdev": "USB controllers are the hypervisor driver's business",
    "<audio id='1'/></sound>": "drivers add the audio back end that is referred to",
    "intremap='on'": "needs of an IOMMU are the hypervisor driver's business",
    "<adapter name=": "where on a bus a passed-through LUN sits is a driver's choice",
    "<nvram/>": "where NVRAM sits is a driver's choice",
    "<panic/>": "which panic device a machine has depends on the hypervisor",
    "<input type='keyboard'/>": "which bus a keyboard is on depends on the hypervisor",
    "<video><model/></video>": "what an unnamed card is depends on the hypervisor",
    "<video/>": "what an unnamed card is depends on the hypervisor",
    "qemu:": "the test driver has no use for QEMU's namespace",
    "xmlns:q=": "the test driver has no use for QEMU's namespace",
    "<init>/x</init>": "architecture of a guest that states none is the hypervisor driver's choice",
}

# Lines the recorded driver adds, which ours of the same hypervisor add as well, not the model.
ADDED = re.compile(
    r"^\s*(<target dev='testnet\d+'/>|<mac address=.*/>|<type( arch='i686')?>hvm</type>)$"
)
IMPLIED = re.compile(r"^    <(console|serial|video|controller|memballoon|input|audio|panic|hub)\b")


def sections(xml: str) -> dict[str, list[str]]:
    """A dump as lines per element: of the domain, and of each device by its name."""
    found: dict[str, list[str]] = {}
    name = "domain"
    for line in xml.splitlines():
        opened = re.match(r"^    <([a-z]+)\b", line) if "<devices>" in found.get("", []) else None
        if line == "  <devices>":
            found[""] = ["<devices>"]
        elif line == "  </devices>":
            found.pop("", None)
            name = "domain"
            continue
        if opened:
            name = opened[1]
        if not ADDED.match(line):
            found.setdefault(name, []).append(line)
    found.pop("", None)
    return found


def without_addresses(lines: list[str]) -> list[str]:
    """Lines without addresses, and without what is left empty by that."""
    kept: list[str] = []
    for line in lines:
        if line.startswith("      <address "):
            continue
        closing = re.match(r"^    </([a-z]+)>$", line)
        if closing and kept and re.match(rf"^    <{closing[1]}\b[^>]*[^/]>$", kept[-1]):
            kept[-1] = kept[-1][:-1] + "/>"
            continue
        kept.append(line)
    return kept
