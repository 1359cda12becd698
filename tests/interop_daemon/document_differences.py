# SPDX-License-Identifier: LGPL-2.1-or-later
"""document_differences.py: documents of which our dump or error differs, each with its reason.

Called by: test_domain_documents.py, which fails for an entry that is no longer true.
"""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "interface-passt": "libvirt knows the back end passt since a version after 9.0, and so do we",
    "arm-virt-gic2": "libvirt knows the panic device pvpanic since a version after 9.0",
    "panic-models": "libvirt knows the panic device pvpanic since a version after 9.0",
    "watchdog-itco": "libvirt knows the watchdog itco since a version after 9.0",
    "video-blob": "libvirt knows blob resources of video cards since a version after 9.0",
    "disk-nbd-reconnect": "libvirt knows how long to reconnect to NBD since a version after 9.0",
    "bad-emulator-path": "whether the emulator exists is found out by the driver's cache of"
    " capabilities, which this test does without",
}
