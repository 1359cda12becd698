# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure.py: the RPC client and codec in pure Python, behind one door.

The fallback where there is no compiled core, the oracle of the C one, and the baseline of the
benchmarks. Reading order: pure_types, pure_decode, pure_encode (values), pure_frame, pure_calls,
pure_keepalive (state without I/O), pure_socket, pure_turns, pure_connection, pure_client,
pure_stream (one connection, many threads).
Called by: libvirtcore.rpc when the extension is missing or LIBVIRTCORE_PURE=1, tests, benchmarks.
Never: imports the extension.
"""

from __future__ import annotations

from libvirtcore.rpc.pure_client import Client
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_stream import Stream

__all__ = ["Client", "Stream", "decode", "encode"]
