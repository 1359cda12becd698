# SPDX-License-Identifier: LGPL-2.1-or-later
"""identity.py: who a client is, as far as the kernel vouches for it.

Called by: session.py, authenticate.py (access checks, migration's identity parameters).
Never: trusts a word of the client itself; looks a name up before somebody asks for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Identity:
    """The process behind a UNIX socket, or the address behind TCP. -1 means unknown."""

    __slots__ = ("address", "gid", "pid", "start_time", "uid")

    def __init__(self, uid: int = -1, gid: int = -1, pid: int = -1, address: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.address = address
        # Read now: the number may belong to another process by the time somebody asks.
        self.start_time = process_start(pid) if pid > 0 else 0

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    @property
    def user_name(self) -> str:
        """The user's name, or its number where it has none."""
        if self.uid < 0:
            return ""
        import pwd

        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def group_name(self) -> str:
        if self.gid < 0:
            return ""
        import grp

        try:
            return grp.getgrgid(self.gid).gr_name
        except KeyError:
            return str(self.gid)

    def attributes(self) -> list[tuple[str, Any]]:
        """The names and values libvirt gives an identity."""
        if self.uid < 0:
            return []
        return [
            ("unix-user-name", self.user_name),
            ("unix-user-id", self.uid),
            ("unix-group-name", self.group_name),
            ("unix-group-id", self.gid),
            ("process-id", self.pid),
            ("process-time", self.start_time),
        ]

    def __str__(self) -> str:
        if self.uid < 0:
            return self.address or "unknown peer"
        return f"uid {self.uid}, gid {self.gid}, pid {self.pid}"


def process_start(pid: int) -> int:
    """When a process began, in clock ticks since boot; 0 where that cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read(4096)
        return int(text[text.rindex(b")") + 1 :].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
