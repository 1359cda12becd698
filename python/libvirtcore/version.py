# SPDX-License-Identifier: LGPL-2.1-or-later
"""version.py: the libvirt whose interface this is, as virGetVersion and local drivers report it.

Called by: libvirtcore.api, drivers. Never: holds libvirtcore's own version (the file VERSION does).
"""

from __future__ import annotations

LIBRARY_VERSION = 12_008_000  # major × 1,000,000 + minor × 1,000 + release
