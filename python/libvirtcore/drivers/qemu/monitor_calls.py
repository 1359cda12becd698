# SPDX-License-Identifier: LGPL-2.1-or-later
"""monitor_calls.py: a user's own words to QEMU: qemuMonitorCommand, in JSON or for humans.

Called by: drivers.qemu.driver (mixin). Calls: the monitor.
Never: hides from the state machine what such a command changes: QEMU's events tell.
"""

from __future__ import annotations

import json
from typing import Any

from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, check_flags, internal
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.qmp import QMPError

_HMP = 1  # VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP


class MonitorCalls(Calls):
    """The calls of the qemu program."""

    def qemu_domain_monitor_command(self, domain: DomainHandle, cmd: str, flags: int) -> str:
        return self.qemu_domain_monitor_command_with_files(domain, cmd, flags, [])[0]

    def qemu_domain_monitor_command_with_files(
        self, dom: DomainHandle, cmd: str, flags: int, fds: list[int]
    ) -> tuple[str, list[int]]:
        check_flags("qemuDomainQemuMonitorCommandWithFiles", flags, _HMP)
        with self._running(dom, "DomainMonitorCommand") as guest:
            guest.running().tainted.add("custom monitor control commands issued")
            if flags & _HMP:
                return self._human(guest, cmd, fds), []
            return self._machine(guest, cmd, fds), []

    def _human(self, guest: Guest, line: str, fds: list[int]) -> str:
        arguments = {"command-line": line}
        answer = guest.monitor().command("human-monitor-command", arguments, fds=fds)
        if not isinstance(answer, str):
            raise internal("human monitor command was missing return data")
        return answer.replace("\r\n", "\n")

    def _machine(self, guest: Guest, text: str, fds: list[int]) -> str:
        try:
            command = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as fault:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_NONE, f"cannot parse json {text}: {fault}"
            ) from None
        if not isinstance(command, dict):
            return _refusal("QMP input must be a JSON object", None)
        monitor = guest.monitor()
        if "id" in command:
            raise internal("Unable to append command 'id' string")
        number = monitor.next_id()
        for member in command:
            if member not in ("execute", "exec-oob", "arguments"):
                return _refusal(f"QMP input member '{member}' is unexpected", number)
        name = command.get("execute", command.get("exec-oob"))
        arguments = command.get("arguments")
        if not isinstance(name, str):
            lacking = (
                "lacks member 'execute'" if name is None else "member 'execute' must be a string"
            )
            return _refusal(f"QMP input {lacking}", number)
        if arguments is not None and not isinstance(arguments, dict):
            return _refusal("QMP input member 'arguments' must be an object", number)
        try:
            value = monitor.execute(name, arguments, fds=fds)
        except QMPError as refused:
            return _refusal(refused.desc, number, refused.class_)
        return _dump({"return": value, "id": number})


def _no_constant(name: str) -> None:
    """NaN and the infinities, which only Python takes for JSON."""
    raise ValueError(f"{name} is no value of JSON")


def _refusal(text: str, number: str | None, kind: str = "GenericError") -> str:
    """QEMU's words for a command it does not take."""
    answer: dict[str, Any] = {"id": number} if number is not None else {}
    return _dump(answer | {"error": {"class": kind, "desc": text}})


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
