# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_options.py: what a URI means to the remote driver, and what it refuses."""

from __future__ import annotations

import os

import pytest

from libvirtcore.drivers.remote import sockets
from libvirtcore.drivers.remote.options import Options, understand
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.settings import Settings, runtime_directory
from libvirtcore.uri import parse


def options(text: str | None, readonly: bool = False, **conf: str) -> Options:
    uri = None if text is None else parse(text)
    return understand(uri, readonly, Settings("f", dict(conf)))


@pytest.mark.parametrize(
    ("text", "transport", "host", "port"),
    [
        ("qemu:///system", "unix", "localhost", 0),
        ("qemu+UNIX:///system", "unix", "localhost", 0),
        ("qemu://far/system", "tls", "far", 16514),
        ("qemu+tls:///system", "tls", "localhost", 16514),
        ("qemu+tcp://[::1]/system", "tcp", "::1", 16509),
        ("qemu+tcp://h:0/system", "tcp", "h", 16509),
        ("qemu+tcp://h:99/system", "tcp", "h", 99),
        ("qemu+ssh://u@h:22/system", "ssh", "h", 22),
        ("qemu+libssh2://h/system", "libssh2", "h", 0),
        ("qemu+ext:///system?command=c", "ext", "localhost", 0),
    ],
)
def test_options_transport(text: str, transport: str, host: str, port: int) -> None:
    found = options(text)
    assert (found.transport, found.host, found.port) == (transport, host, port)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("qemu+tcp://h/system?no_verify=1&x=y", "qemu:///system?x=y"),
        ("remote+ssh://h/whatever", ""),
        ("remote:///", ""),
        ("qemu+tcp://h/system?name=test:///default", "test:///default"),
        ("qemu+tcp://h/system?name=", ""),
    ],
)
def test_options_name_for_the_daemon(text: str, name: str) -> None:
    assert options(text).name == name


@pytest.mark.parametrize(
    ("text", "code", "domain", "detail"),
    [
        (
            "qemu+foo:///system", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
            "remote_open: transport in URL not recognised "
            "(should be tls|unix|ssh|ext|tcp|libssh2|libssh)",
        ),
        (
            "qemu+unix://host/system", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
            "using unix socket and remote server 'host' is not supported.",
        ),
        (
            "qemu+ext:///system", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
            "remote_open: for 'ext' transport, command is required",
        ),
        (
            "qemu:///system?no_verify", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
            "Failed to parse value of URI component no_verify",
        ),
        (
            "qemu:///system?mode=zzz", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
            "Unknown remote mode 'zzz'",
        ),
        (
            "qemu+ssh://h/system?proxy=native&netcat=nc", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_RPC,
            "netcat path not valid with native proxy mode",
        ),
        (
            "qemu+tcp://h/?proxy=zz", c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
            "Unknown proxy type 'zz'",
        ),
        (
            "qemu+ssh://h/system?mode=direct", c.VIR_ERR_OPERATION_UNSUPPORTED, c.VIR_FROM_REMOTE,
            "Cannot use direct socket mode for ssh transport",
        ),
    ],
)  # fmt: skip
def test_options_refused(text: str, code: int, domain: int, detail: str) -> None:
    with pytest.raises(VirError) as caught:
        options(text)
    assert (caught.value.code, caught.value.domain) == (code, domain)
    assert caught.value.str2 == detail


def test_options_flags_are_numbers() -> None:
    found = options("qemu+ssh://h/?no_tty=0&no_verify=%20+5&no_sanity=-1")
    assert (found.tty, found.verify, found.sanity) == (True, False, False)


def test_options_session_is_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not options("qemu:///session").session
    assert not options(None).session
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert options("qemu:///session").session
    assert options("qemu:///session").autostart
    assert options(None).session
    assert options("test+unix:///default").session
    assert not options("qemu:///system").session
    assert not options("qemu+tcp://h/session").autostart
    monkeypatch.setenv("LIBVIRT_AUTOSTART", "0")
    assert not options("qemu:///session").autostart


@pytest.mark.parametrize(
    ("text", "readonly", "path"),
    [
        ("qemu:///system?mode=legacy", False, "/var/run/libvirt/libvirt-sock"),
        ("qemu:///system?mode=legacy", True, "/var/run/libvirt/libvirt-sock-ro"),
        ("qemu:///system?mode=direct", False, "/var/run/libvirt/virtqemud-sock"),
        ("qemu:///system?mode=direct", True, "/var/run/libvirt/virtqemud-sock-ro"),
        ("remote:///?mode=direct", False, "/var/run/libvirt/libvirt-sock"),
        (None, True, "/var/run/libvirt/libvirt-sock-ro"),
        ("qemu+ssh://h/system", True, "/var/run/libvirt/libvirt-sock-ro"),
    ],
)
def test_sockets_of_the_system(
    text: str | None, readonly: bool, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert sockets.choose(options(text, readonly)).path == path


def test_sockets_of_a_session_are_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    folder = runtime_directory()
    os.makedirs(folder)
    session = options("qemu:///session", readonly=True)
    monkeypatch.setattr(sockets, "find_daemon", lambda name: f"/sbin/{name}")
    assert sockets.choose(session).path == f"{folder}/libvirt-sock"
    assert sockets.choose(session).daemons == ("libvirtd", "virtproxyd")
    monkeypatch.setattr(sockets, "find_daemon", lambda name: None)
    assert sockets.choose(session) == sockets.Endpoint(f"{folder}/virtqemud-sock", ("virtqemud",))
    open(f"{folder}/libvirt-sock", "w").close()
    assert sockets.choose(session).path == f"{folder}/libvirt-sock"
    open(f"{folder}/virtqemud-sock", "w").close()
    assert sockets.choose(session).path == f"{folder}/virtqemud-sock"


def test_options_remote_mode_of_the_configuration() -> None:
    assert options("qemu:///system", remote_mode="direct").mode == "direct"
    assert options("qemu:///system?mode=legacy", remote_mode="direct").mode == "legacy"
