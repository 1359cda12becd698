# SPDX-License-Identifier: LGPL-2.1-or-later
"""errors.py: what goes wrong between us and a QEMU monitor or a guest agent.

Everything raised by this package is a VirError. A command that QEMU refused is a QMPError, which
also carries QEMU's own error class and description.
Called by: libvirtcore.qmp, drivers.qemu. Calls: libvirtcore.errors.
Never: shows anything.
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_SYSTEM_ERROR,
    VIR_FROM_QEMU,
)

__all__ = ["QMPError", "failure", "system_failure"]

DESCRIPTION_MAX = 16384  # characters of a description that reach a message


class QMPError(VirError):
    """QEMU refused a command. `class_` is QEMU's error class, `desc` its own words."""

    def __init__(self, class_: str, desc: str, command: str = "", kind: str = "QEMU") -> None:
        detail = f"unable to execute {kind} command '{command}': {desc[:DESCRIPTION_MAX]}"
        plain = report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, detail)
        super().__init__(plain.code, plain.domain, plain.message, str1=plain.str1, str2=plain.str2)
        self.class_ = class_
        self.desc = desc
        self.command = command
        self.kind = kind

    @classmethod
    def from_reply(cls, error: Any, command: str, kind: str = "QEMU") -> QMPError:
        """The error object of a reply; a peer may have put anything there."""
        fields = error if isinstance(error, dict) else {}
        class_, desc = fields.get("class"), fields.get("desc")
        return cls(
            class_ if isinstance(class_, str) else "GenericError",
            desc if isinstance(desc, str) else "Unknown QEMU command error",
            command,
            kind,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (QMPError, (self.class_, self.desc, self.command, self.kind))


def failure(code: int, detail: str) -> VirError:
    """An error of this package, in libvirt's words for its code."""
    return report(code, VIR_FROM_QEMU, detail)


def system_failure(text: str, number: int) -> VirError:
    """A system call that failed, with its errno in words and as a number."""
    error = failure(VIR_ERR_SYSTEM_ERROR, f"{text}: {os.strerror(number)}")
    error.int1 = number
    return error
