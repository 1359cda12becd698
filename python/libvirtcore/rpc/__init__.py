# SPDX-License-Identifier: LGPL-2.1-or-later
"""The RPC client: the C core, or its pure-Python twin where there is none or LIBVIRTCORE_PURE=1.

Called by: libvirtcore.drivers.remote. Calls: libvirtcore.core or libvirtcore.rpc.pure.
Never: decides again after import.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

__all__ = ["IMPLEMENTATION", "Client", "Stream", "decode", "encode"]


def _wants_pure() -> bool:
    if os.environ.get("LIBVIRTCORE_PURE", "") not in ("", "0"):
        return True
    try:
        import libvirtcore.core
    except ImportError:
        return True
    return False


if TYPE_CHECKING or not _wants_pure():
    from libvirtcore.core import Client, Stream, decode, encode

    IMPLEMENTATION = "c"
else:
    from libvirtcore.rpc.pure import Client, Stream, decode, encode

    IMPLEMENTATION = "pure"
