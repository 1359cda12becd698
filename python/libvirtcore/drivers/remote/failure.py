# SPDX-License-Identifier: LGPL-2.1-or-later
"""failure.py: the errors that the client itself finds, shaped as libvirt shapes them.

Called by: every module of drivers.remote.
Never: handles an error that the daemon sent; those arrive whole.
"""

from __future__ import annotations

import os

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

RPC = c.VIR_FROM_RPC
REMOTE = c.VIR_FROM_REMOTE


def system_error(message: str, number: int = 0, domain: int = RPC) -> VirError:
    """A system error: `message`, then the text of errno `number` unless that is 0."""
    text = f"{message}: {os.strerror(number)}" if number else message
    return VirError(
        code=c.VIR_ERR_SYSTEM_ERROR,
        domain=domain,
        message=text,
        level=c.VIR_ERR_ERROR,
        str1="%s",
        str2=text,
        int1=number or -1,
        int2=-1,
    )


def timed_out(what: str) -> VirError:
    """The caller's deadline passed; a time limit of the system's own is a system error."""
    return report(c.VIR_ERR_OPERATION_TIMEOUT, RPC, f"{what}: the deadline passed")


def invalid(message: str, domain: int = REMOTE) -> VirError:
    return report(c.VIR_ERR_INVALID_ARG, domain, message)


def unsupported(message: str) -> VirError:
    return report(c.VIR_ERR_OPERATION_UNSUPPORTED, REMOTE, message)


def auth_failed(message: str, domain: int = REMOTE) -> VirError:
    return report(c.VIR_ERR_AUTH_FAILED, domain, message)
