# SPDX-License-Identifier: LGPL-2.1-or-later
"""tables_model.py: the shape of the generated wire tables.

Called by: libvirtcore.generated.tables (builds them), libvirtcore.rpc.pure and explain (read them).
Never: holds data of its own.
"""

from __future__ import annotations

from typing import NamedTuple


class Procedure(NamedTuple):
    """One procedure; `args` and `ret` are offsets in TYPES, 0 when nothing is sent."""

    name: str
    args: int
    ret: int
    kind: int  # 1 call, 2 event, 3 stream
    high_priority: int
    fds: int  # 0 none, 1 with the call, 2 with the reply, 3 both
    stream: int  # 0 none, 1 client reads, 2 client writes


class Program(NamedTuple):
    """One RPC program; `procedures` is indexed by procedure number, [0] is None."""

    number: int
    version: int
    name: str
    procedures: tuple[Procedure | None, ...]
