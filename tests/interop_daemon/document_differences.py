# SPDX-License-Identifier: LGPL-2.1-or-later
"""document_differences.py: documents of which our dump or error differs, each with its reason.

Called by: test_domain_documents.py, which fails for an entry that is no longer true.
"""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "interface-passt": "libvirt knows the back end passt since a version after 9.0, and so do we",
    "bad-emulator-path": "whether the emulator exists is found out by the driver's cache of"
    " capabilities, which this test does without",
}
