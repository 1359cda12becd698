# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_activation.py: sockets passed by a service manager, and what it is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from libvirtd import activation, notify
from libvirtd.fatal import Fatal
from libvirtd.services import TCP, UNIX, UNIX_RO


def listener(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    return made


def test_nothing_is_passed_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert activation.passed() == []
    assert "LISTEN_FDS" not in os.environ, "children must not take them for theirs"


@pytest.mark.parametrize("count", ["", "0", "x", "-1", "65", "9" * 30])
def test_senseless_counts_pass_nothing(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    assert activation.passed() == []


def test_a_descriptor_that_is_not_open_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "FIRST", 900)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    with pytest.raises(Fatal, match="LISTEN_FDS names descriptor 900, which is not open"):
        activation.passed()


@pytest.mark.parametrize(
    ("file", "unit", "service"),
    [
        ("libvirt-sock", "", UNIX),
        ("libvirt-sock-ro", "", UNIX_RO),
        ("anything", "libvirtd-ro.socket", UNIX_RO),
        ("odd-ro", "libvirtd.socket", UNIX),
    ],
)
def test_a_unix_socket_is_known_by_unit_or_path(
    tmp_path: Path, file: str, unit: str, service: int
) -> None:
    with listener(tmp_path / file) as made:
        assert activation.service_of(made, unit) == service


def test_an_ip_socket_is_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as made:
        assert activation.service_of(made, "") == TCP


@pytest.mark.parametrize(
    ("unit", "why"), [("libvirtd-tls.socket", "TLS"), ("libvirtd-admin.socket", "admin server")]
)
def test_units_that_cannot_be_served_are_refused(tmp_path: Path, unit: str, why: str) -> None:
    with (
        listener(tmp_path / "s") as made,
        pytest.raises(Fatal, match=f"{unit} passed a socket, but .*{why}.* is not built"),
    ):
        activation.service_of(made, unit)


def test_a_socket_that_does_not_listen_is_refused() -> None:
    left, right = socket.socketpair()
    with left, right, pytest.raises(Fatal, match="is not a listening stream socket"):
        activation.service_of(left, "")


# --- what the manager is told ---------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_states_reach_the_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"\0lvc-notify-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        teller = notify.Notifier.take()
        assert "NOTIFY_SOCKET" not in os.environ
        teller.ready()
        teller.reloading()
        teller.stopping()
        said = [
            dict(line.split("=", 1) for line in manager.recv(999).decode().split("\n"))
            for _ in "abc"
        ]
    assert said[0]["READY"] == "1"
    assert (said[1]["RELOADING"], said[1]["MONOTONIC_USEC"].isdecimal()) == ("1", True)
    assert said[2]["STOPPING"] == "1"


@pytest.mark.parametrize("address", ["", "relative", "/nonexistent/socket"])
def test_no_manager_is_no_problem(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify.Notifier.take().ready()
