# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_contrib.py: the unit files fit the daemon that they start."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest

from libvirtd import activation, options, paths
from tests.ours_daemon import REPOSITORY

UNITS = REPOSITORY / "contrib" / "systemd"
SOCKETS = sorted(UNITS.glob("*.socket"))


def unit(path: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text())
    return parsed


def test_the_service_starts_us_with_options_we_know() -> None:
    service = unit(UNITS / "libvirtd.service")["Service"]
    assert service["Type"] == "notify"
    name, _, value = shlex.split(service["Environment"])[0].partition("=")
    words = shlex.split(service["ExecStart"].replace(f"${name}", value))
    assert Path(words[0]).name == "libvirtd"
    read = options.read(words[1:])
    assert read.timeout > 0
    assert not read.daemon
    assert not read.listen, "not together with sockets that are passed"
    assert service["KillMode"] == "process", "guests must outlive the daemon"


@pytest.mark.parametrize("path", SOCKETS, ids=lambda path: path.name)
def test_a_socket_unit_is_one_we_serve(path: Path) -> None:
    assert path.name in activation._UNITS
    assert unit(path)["Socket"]["Service"] == "libvirtd.service"


def test_unix_sockets_are_where_clients_look() -> None:
    system = paths.Paths(paths.SYSTEM, "", "/run/libvirt", "", "")
    for name, place, mode in (
        ("libvirtd.socket", system.socket, "0600"),
        ("libvirtd-ro.socket", system.socket_ro, "0666"),
    ):
        section = unit(UNITS / name)["Socket"]
        assert (section["ListenStream"], section["SocketMode"]) == (place, mode)


def test_tcp_is_for_this_host_alone() -> None:
    address = unit(UNITS / "libvirtd-tcp.socket")["Socket"]["ListenStream"]
    assert address == "127.0.0.1:16509"
