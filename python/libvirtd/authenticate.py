# SPDX-License-Identifier: LGPL-2.1-or-later
"""authenticate.py: how a client proves who it is: it need not, or polkit decides.

Called by: dispatch.py, as functions of (session, args, worker).
Calls: the system's polkit, through pkcheck.
Never: lets a client in that was refused; opens a connection.
"""

from __future__ import annotations

import subprocess
from threading import Thread

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_AUTH_FAILED, VIR_FROM_RPC
from libvirtcore.log import INFO, WARNING, log
from libvirtd.answers import REPLIED, Replied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.core_server import Ticket, Worker
    from libvirtd.session import Session

AUTH_NONE, AUTH_POLKIT = 0, 2

MANAGE, MONITOR = "org.libvirt.unix.manage", "org.libvirt.unix.monitor"
PKCHECK = "/usr/bin/pkcheck"
PKCHECK_SECONDS = 120.0  # somebody may have to type a password


def auth_list(session: Session, _args: Any, _worker: Worker) -> tuple[list[int]]:
    """How this client may authenticate; root need not ask polkit."""
    if session.auth == "polkit" and session.identity.is_root:
        log(INFO, __name__, f"client {session.client}: {session.identity} needs no polkit")
        _let_in(session)
    return ([AUTH_POLKIT if session.auth == "polkit" else AUTH_NONE],)


def auth_polkit(session: Session, _args: Any, worker: Worker) -> Replied:
    """Ask polkit about the process on the other end; a person may take a while to answer it."""
    if session.auth != "polkit":
        raise _failed()
    thread = Thread(target=_ask_polkit, args=(session, worker.detach()), name="polkit", daemon=True)
    thread.start()
    return REPLIED


def _ask_polkit(session: Session, ticket: Ticket) -> None:
    if _polkit_allows(session, MONITOR if session.readonly else MANAGE):
        _let_in(session)
        session.server.answer(ticket, (1,))
        return
    log(WARNING, __name__, f"client {session.client}: polkit denied {session.identity}")
    error = report(VIR_ERR_AUTH_FAILED, VIR_FROM_RPC, "access denied by policy")
    session.server.answer(ticket, error=error.to_wire())


def _polkit_allows(session: Session, action: str) -> bool:
    who = session.identity
    if who.pid <= 0 or who.uid < 0:
        return False
    subject = f"{who.pid},{who.start_time},{who.uid}"
    command = (PKCHECK, "--action-id", action, "--process", subject, "--allow-user-interaction")
    try:
        done = subprocess.run(command, capture_output=True, timeout=PKCHECK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        log(WARNING, __name__, f"polkit cannot be asked: {problem}")
        return False
    return done.returncode == 0


def _let_in(session: Session) -> None:
    session.auth = "none"
    session.server.authenticated(session.client)


def _failed() -> VirError:
    return report(VIR_ERR_AUTH_FAILED, VIR_FROM_RPC, "authentication failed")


def auth_sasl_init(_session: Session, _args: Any, _worker: Worker) -> Any:
    """SASL is not offered, so that nobody can ask for it."""
    raise _failed()


def auth_sasl_start(_session: Session, _args: Any, _worker: Worker) -> Any:
    raise _failed()


def auth_sasl_step(_session: Session, _args: Any, _worker: Worker) -> Any:
    raise _failed()
