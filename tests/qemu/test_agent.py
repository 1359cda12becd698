# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_agent.py: calls answered by the agent in a guest; here a program plays the agent.

It takes the place of QEMU's socket, so that everything on our side is as with a real guest.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import libvirt
import libvirt_qemu
from tests.qemu.conftest import domain_xml

CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


class FakeAgent:
    """Answers commands from a table; silent where the table says None."""

    def __init__(self, path: str) -> None:
        self.answers: dict[str, Any] = {"guest-ping": {}}
        self.asked: list[tuple[str, Any]] = []
        self._listening = socket.socket(socket.AF_UNIX)
        parent = os.open(os.path.dirname(path), os.O_PATH)
        try:
            os.unlink(path)
            self._listening.bind(f"/proc/self/fd/{parent}/{os.path.basename(path)}")
        finally:
            os.close(parent)
        self._listening.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                for line in lines:
                    self._answer(peer, line)

    def _answer(self, peer: socket.socket, line: bytes) -> None:
        command = json.loads(line.lstrip(b"\xff"))
        name, arguments = command["execute"], command.get("arguments")
        if name == "guest-sync-delimited":
            peer.sendall(b"\xff" + json.dumps({"return": arguments["id"]}).encode() + b"\n")
            return
        self.asked.append((name, arguments))
        answer = self.answers.get(name, KeyError)
        if answer is KeyError:
            reply: Any = {"error": {"class": "CommandNotFound", "desc": "no such command"}}
        elif answer is None:
            return
        else:
            reply = {"return": answer}
        peer.sendall(json.dumps(reply).encode() + b"\n")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def dom(conn: Any) -> Any:
    return conn.createXML(domain_xml(devices=CHANNEL), libvirt.VIR_DOMAIN_START_PAUSED)


@pytest.fixture
def agent(conn: Any, dom: Any) -> Iterator[FakeAgent]:
    guest = conn._o.driver.host.find(dom._o)
    channel = guest.live.devices.channels[0]
    channel.target.state = "connected"
    agent = FakeAgent(channel.source.path)
    yield agent
    agent.close()


def refusal(call: Any, *args: Any) -> tuple[Any, Any]:
    with pytest.raises(libvirt.libvirtError) as info:
        call(*args)
    return info.value.get_error_code(), info.value.get_error_message()


def test_nobody_there(conn: Any, dom: Any) -> None:
    assert refusal(dom.getTime) == (
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        "Guest agent is not responding: QEMU guest agent is not connected",
    )
    dom.destroy()
    dom = conn.createXML(domain_xml(), libvirt.VIR_DOMAIN_START_PAUSED)
    assert refusal(dom.fsInfo) == (
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        "argument unsupported: QEMU guest agent is not configured",
    )


def test_commands(dom: Any, agent: FakeAgent) -> None:
    ask = libvirt_qemu.qemuAgentCommand
    assert ask(dom, '{"execute":"guest-ping"}', -1, 0) == '{"return":{}}'
    code, message = refusal(ask, dom, '{"execute":"guest-nope"}', -1, 0)
    assert (code, message) == (
        libvirt.VIR_ERR_INTERNAL_ERROR,
        "internal error: unable to execute QEMU agent command 'guest-nope': no such command",
    )
    agent.answers["guest-slow"] = None
    assert refusal(ask, dom, '{"execute":"guest-slow"}', 1, 0)[0] == (
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE
    )
    assert ask(dom, '{"execute":"guest-ping"}', -1, 0) == '{"return":{}}'


def test_time_and_name(dom: Any, agent: FakeAgent) -> None:
    agent.answers |= {
        "guest-get-time": 1_700_000_000_000_000_005,
        "guest-set-time": {},
        "guest-get-host-name": {"host-name": "inside"},
    }
    assert dom.getTime() == {"seconds": 1_700_000_000, "nseconds": 5}
    dom.setTime({"seconds": 7, "nseconds": 1})
    assert agent.asked[-1] == ("guest-set-time", {"time": 7_000_000_001})
    assert dom.hostname() == "inside"


def test_addresses(dom: Any, agent: FakeAgent) -> None:
    agent.answers["guest-network-get-interfaces"] = [
        {
            "name": "eth0",
            "hardware-address": "52:54:00:11:22:33",
            "ip-addresses": [
                {"ip-address-type": "ipv4", "ip-address": "192.0.2.1", "prefix": 24},
                {"ip-address-type": "ipv6", "ip-address": "2001:db8::1", "prefix": 64},
            ],
        }
    ]
    found = dom.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    assert found == {
        "eth0": {
            "hwaddr": "52:54:00:11:22:33",
            "addrs": [
                {"type": 0, "addr": "192.0.2.1", "prefix": 24},
                {"type": 1, "addr": "2001:db8::1", "prefix": 64},
            ],
        }
    }
    assert dom.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE) == {}


def test_guest_info(dom: Any, agent: FakeAgent) -> None:
    agent.answers |= {
        "guest-get-osinfo": {"id": "debian", "version-id": "12", "nonsense": [1]},
        "guest-get-timezone": {"zone": "CET", "offset": 3600},
        "guest-get-users": [{"user": "root", "login-time": 12.5}],
    }
    info = dom.guestInfo()
    assert info == {
        "user.count": 1, "user.0.name": "root", "user.0.login-time": 12500,
        "os.id": "debian", "os.version-id": "12",
        "timezone.name": "CET", "timezone.offset": 3600,
    }  # fmt: skip
    types = libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME
    assert refusal(dom.guestInfo, types)[0] == libvirt.VIR_ERR_INTERNAL_ERROR


@pytest.mark.parametrize("nonsense", [[], {}, "x", 1.5, True, [[]], [{"name": 5}], 10**400])
def test_hostile_answers(dom: Any, agent: FakeAgent, nonsense: Any) -> None:
    """Whatever comes, it is an error or nothing, never a crash."""
    for name in (
        "guest-get-time", "guest-get-host-name", "guest-network-get-interfaces",
        "guest-get-fsinfo", "guest-get-osinfo", "guest-get-timezone", "guest-get-users",
        "guest-fsfreeze-freeze",
    ):  # fmt: skip
        agent.answers[name] = nonsense
    for call in (
        dom.getTime,
        dom.hostname,
        dom.fsInfo,
        dom.guestInfo,
        dom.fsFreeze,
        lambda: dom.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT),
    ):
        try:
            call()
        except libvirt.libvirtError:
            continue


def test_shutdown_by_the_agent(dom: Any, agent: FakeAgent) -> None:
    agent.answers["guest-shutdown"] = {}
    dom.resume()  # a paused guest cannot be asked
    dom.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
    assert agent.asked == [("guest-shutdown", {"mode": "powerdown"})]
