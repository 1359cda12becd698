# SPDX-License-Identifier: LGPL-2.1-or-later
"""connection.py: the core: C, or its pure-Python twin without it or with LIBVIRTCORE_PURE=1.

Called by: client, agent, aio. Calls: qmp.core or qmp.pure.
Never: decides again after import.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

__all__ = ["IMPLEMENTATION", "Connection"]


def _wants_pure() -> bool:
    if os.environ.get("LIBVIRTCORE_PURE", "") not in ("", "0"):
        return True
    try:
        import libvirtcore.qmp.core
    except ImportError:
        return True
    return False


if TYPE_CHECKING or not _wants_pure():
    from libvirtcore.qmp.core import Connection

    IMPLEMENTATION = "c"
else:
    from libvirtcore.qmp.pure import Connection

    IMPLEMENTATION = "pure"
