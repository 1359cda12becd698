# SPDX-License-Identifier: LGPL-2.1-or-later
"""exceptions.py: one exception class per error code, each still a libvirtError.

    try:
        conn.lookupByName("vm")
    except NoDomainError:
        ...

Called by: users; libvirtcore.errors (when the first error is raised). Never: holds behaviour.
"""

from __future__ import annotations

from libvirtcore.generated.exceptions import *
