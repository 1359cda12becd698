# SPDX-License-Identifier: LGPL-2.1-or-later
"""document_differences.py: documents of which our dump or error differs, each with its reason.

Called by: test_domain_documents.py, which fails for an entry that is no longer true.
"""

from __future__ import annotations

_LATER = "libvirt knows it since a version after 9.0, and so do we"

DIFFERENCES: dict[str, str] = {
    "arm-virt-gic2": f"panic model pvpanic: {_LATER}",
    "panic-models": f"panic model pvpanic: {_LATER}",
    "watchdog-itco": f"watchdog model itco: {_LATER}",
    "bad-hostdev-usb-no-id": "an empty <source> stays in our dump: without one the real daemon does not"
    " take back its own dump",
    "interface-passt": f"back end passt: {_LATER}",
    "bad-emulator-path": "whether the emulator exists is found out by the driver's cache of"
    " capabilities, which this test does without",
}
