# SPDX-License-Identifier: LGPL-2.1-or-later
"""agent_calls.py: what only the agent in a guest can tell or do.

The agent is spoken to over the guest's channel; its answers come from a guest that may be hostile,
so every value is checked before it is handed out.
Called by: drivers.qemu.driver (mixin). Calls: qmp.Agent, interfaces.
Never: waits without a limit unless the caller says so; believes a shape.
"""

from __future__ import annotations

import json
from typing import Any

from libvirtcore import deadline
from libvirtcore.drivers.qemu.agent_facts import GUEST_INFO, describe_filesystems
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, check_flags, internal
from libvirtcore.drivers.qemu.interfaces import agent_interfaces
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.qmp import Agent, QMPError

NAME = "org.qemu.guest_agent.0"
SECONDS = 5.0
_BLOCK, _DEFAULT, _NOWAIT = -2, -1, 0  # what a timeout of agent commands means


def _channel(guest: Guest) -> Any:
    live = guest.live
    for channel in live.devices.channels if live is not None and live.devices else ():
        if channel.target is not None and channel.target.name == NAME:
            return channel
    return None


def agent_of(guest: Guest) -> Agent:
    """A conversation with a guest's agent. Raises: VirError when there is nobody to talk to."""
    run = guest.running()
    channel = _channel(guest)
    if channel is None:
        raise report(
            c.VIR_ERR_ARGUMENT_UNSUPPORTED, c.VIR_FROM_QEMU, "QEMU guest agent is not configured"
        )
    path = channel.source.path if channel.source is not None else None
    if channel.target.state != "connected" or channel.type != "unix" or not path:
        raise report(
            c.VIR_ERR_AGENT_UNRESPONSIVE, c.VIR_FROM_QEMU, "QEMU guest agent is not connected"
        )
    with guest.lock:
        agent = run.waiters.get("agent")
        if agent is None or agent.closed is not None:
            agent = run.waiters["agent"] = Agent(path, timeout=SECONDS)
    assert isinstance(agent, Agent)
    return agent


def ask(
    guest: Guest,
    command: str,
    arguments: dict[str, Any] | None = None,
    *,
    seconds: float | None = SECONDS,
) -> Any:
    """Run a command in the agent. Raises: VirError."""
    try:
        return agent_of(guest).execute(command, arguments, timeout=deadline.remaining(seconds))
    except QMPError as refused:
        raise internal(
            f"unable to execute QEMU agent command '{command}': {refused.desc}"
        ) from None


def _number(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise internal(f"malformed return value of {what}")
    return value


class AgentCalls(Calls):
    """The calls that need an agent."""

    def qemu_domain_agent_command(
        self, domain: DomainHandle, cmd: str, timeout: int, flags: int
    ) -> str | None:
        check_flags("qemuDomainAgentCommand", flags, 0)
        guest = self.host.find(domain)
        guest.running()
        if timeout < _BLOCK:
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_QEMU,
                f"guest agent timeout '{timeout}' is less than the minimum '{_BLOCK}'",
            )
        agent_of(guest)
        name, arguments = _parse(cmd)
        seconds: float | None = float(timeout) if timeout > 0 else SECONDS
        if timeout == _BLOCK:
            seconds = None
        value = ask(guest, name, arguments, seconds=seconds)
        return json.dumps({"return": value}, separators=(",", ":"), ensure_ascii=False)

    def _asking(self, dom: DomainHandle, function: str, flags: int, known: int = 0) -> Guest:
        check_flags(function, flags, known)
        guest = self.host.find(dom)
        guest.running()
        return guest

    def _agent_shutdown(self, guest: Guest, mode: str) -> None:
        """Have the agent end or restart its guest; lifecycle asks for it. Raises: VirError."""
        try:
            agent_of(guest).execute(
                "guest-shutdown", {"mode": mode}, timeout=deadline.remaining(SECONDS), reply=False
            )
        except QMPError as refused:
            raise internal(
                f"unable to execute QEMU agent command 'guest-shutdown': {refused.desc}"
            ) from None

    # --- time -------------------------------------------------------------------------------------

    def domain_get_time(self, dom: DomainHandle, flags: int) -> tuple[int, int]:
        guest = self._asking(dom, "qemuDomainGetTime", flags)
        now = _number(ask(guest, "guest-get-time"), "guest-get-time")
        return now // 1_000_000_000, now % 1_000_000_000

    def domain_set_time(self, dom: DomainHandle, seconds: int, nseconds: int, flags: int) -> None:
        guest = self._asking(dom, "qemuDomainSetTime", flags, c.VIR_DOMAIN_TIME_SYNC)
        arguments = None
        if not flags & c.VIR_DOMAIN_TIME_SYNC:
            time = seconds * 1_000_000_000 + nseconds
            if not -(1 << 63) <= time < 1 << 63:
                raise report(
                    c.VIR_ERR_INVALID_ARG,
                    c.VIR_FROM_QEMU,
                    f"Time '{seconds}' is too big for guest agent",
                )
            arguments = {"time": time}
        ask(guest, "guest-set-time", arguments)
        with self._running(dom, "DomainSetTime") as guest:
            monitor = guest.monitor()
            try:
                monitor.execute("rtc-reset-reinjection")
            except QMPError:
                pass  # a machine without such a clock

    # --- names and addresses ----------------------------------------------------------------------

    def domain_get_hostname(self, dom: DomainHandle, flags: int) -> str:
        lease, agent = c.VIR_DOMAIN_GET_HOSTNAME_LEASE, c.VIR_DOMAIN_GET_HOSTNAME_AGENT
        guest = self._asking(dom, "qemuDomainGetHostname", flags, lease | agent)
        if flags & lease and flags & agent:
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_QEMU,
                "Flags 'VIR_DOMAIN_GET_HOSTNAME_LEASE' and 'VIR_DOMAIN_GET_HOSTNAME_AGENT' are "
                "mutually exclusive",
            )
        name = None
        if not flags & lease:
            answer = ask(guest, "guest-get-host-name")
            name = answer.get("host-name") if isinstance(answer, dict) else None
        if not isinstance(name, str):
            raise report(
                c.VIR_ERR_NO_HOSTNAME,
                c.VIR_FROM_QEMU,
                f"no hostname found for domain {guest.name}",
            )
        return name

    def domain_interface_addresses(
        self, dom: DomainHandle, source: int, flags: int
    ) -> list[tuple[str, str | None, list[tuple[int, str, int]]]]:
        guest = self._asking(dom, "qemuDomainInterfaceAddresses", flags)
        if source == c.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT:
            return agent_interfaces(ask(guest, "guest-network-get-interfaces"))
        if source == c.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE:
            return []  # no network of ours gives leases
        if source == c.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP:
            return _neighbours(guest)
        raise report(
            c.VIR_ERR_ARGUMENT_UNSUPPORTED,
            c.VIR_FROM_QEMU,
            f"Unsupported IP address data source {source}",
        )

    # --- file systems -----------------------------------------------------------------------------

    def domain_get_fsinfo(
        self, dom: DomainHandle, flags: int
    ) -> tuple[list[tuple[str, str, str, list[str]]], int]:
        guest = self._asking(dom, "qemuDomainGetFSInfo", flags)
        found = describe_filesystems(guest.model(), ask(guest, "guest-get-fsinfo"))
        return found, len(found)

    def domain_fsfreeze(self, dom: DomainHandle, mountpoints: list[str], flags: int) -> int:
        guest = self._asking(dom, "qemuDomainFSFreeze", flags)
        if mountpoints:
            value = ask(guest, "guest-fsfreeze-freeze-list", {"mountpoints": list(mountpoints)})
        else:
            value = ask(guest, "guest-fsfreeze-freeze")
        return _number(value, "guest-fsfreeze-freeze")

    def domain_fsthaw(self, dom: DomainHandle, mountpoints: list[str], flags: int) -> int:
        guest = self._asking(dom, "qemuDomainFSThaw", flags)
        return _number(ask(guest, "guest-fsfreeze-thaw"), "guest-fsfreeze-thaw")

    def domain_fstrim(
        self, dom: DomainHandle, mountPoint: str | None, minimum: int, flags: int
    ) -> None:
        if mountPoint is not None:
            raise report(
                c.VIR_ERR_ARGUMENT_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                "Specifying mount point is not supported for now",
            )
        guest = self._asking(dom, "qemuDomainFSTrim", flags)
        ask(guest, "guest-fstrim", {"minimum": minimum}, seconds=None)

    # --- users and the rest -----------------------------------------------------------------------

    def domain_set_user_password(
        self, dom: DomainHandle, user: str | None, password: str | None, flags: int
    ) -> None:
        import base64

        encrypted = c.VIR_DOMAIN_PASSWORD_ENCRYPTED
        guest = self._asking(dom, "qemuDomainSetUserPassword", flags, encrypted)
        coded = base64.b64encode((password or "").encode()).decode()
        ask(
            guest,
            "guest-set-user-password",
            {"username": user, "password": coded, "crypted": bool(flags & encrypted)},
        )

    def domain_get_guest_info(
        self, dom: DomainHandle, types: int, flags: int
    ) -> list[tuple[str, int, Any]]:
        guest = self._asking(dom, "qemuDomainGetGuestInfo", flags)
        every = types == 0
        params: list[tuple[str, int, Any]] = []
        for bit, command, describe in GUEST_INFO:
            if not every and not types & bit:
                continue
            agent_of(guest)
            try:
                params += describe(guest.model(), ask(guest, command))
            except VirError as fault:
                # Of everything, what the agent does not know is left out.
                if not every or fault.code == c.VIR_ERR_AGENT_UNRESPONSIVE:
                    raise
        return params


def _parse(text: str) -> tuple[str, dict[str, Any] | None]:
    """A user's command. Raises: VirError."""
    try:
        command = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise report(
            c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_NONE, f"cannot parse json {text}: {fault}"
        ) from None
    name = command.get("execute") if isinstance(command, dict) else None
    arguments = command.get("arguments") if isinstance(command, dict) else None
    if not isinstance(name, str) or not (arguments is None or isinstance(arguments, dict)):
        raise internal(f"malformed agent command: {text}")
    return name, arguments


def _neighbours(guest: Guest) -> list[tuple[str, str | None, list[tuple[int, str, int]]]]:
    """Addresses that the host's neighbour table has for a guest's interfaces."""
    table: dict[str, list[str]] = {}
    try:
        with open("/proc/net/arp", encoding="ascii", errors="replace") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if len(fields) >= 6:
                    table.setdefault(fields[3].lower(), []).append(fields[0])
    except OSError:
        pass
    found: list[tuple[str, str | None, list[tuple[int, str, int]]]] = []
    model: Any = guest.model()
    for interface in model.devices.interfaces:
        name = interface.target.dev if interface.target is not None else None
        mac = interface.mac.address if interface.mac is not None else None
        addresses = table.get(mac or "", [])
        if name and addresses:
            found.append((name, mac, [(c.VIR_IP_ADDR_TYPE_IPV4, ip, 0) for ip in addresses]))
    return found
