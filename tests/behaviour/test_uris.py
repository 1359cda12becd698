# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_uris.py: which URI `libvirt.open` means, and where it leads.

Called by: pytest.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import libvirt
from tests.behaviour.conftest import Connect
from tests.behaviour.proxy import Proxy
from tests.interop.daemon import Daemon


@pytest.fixture
def write_conf(tmp_path: Path) -> Path:
    """The file with the caller's settings: of the system for root, else of the user."""
    folder = tmp_path / "etc" if os.geteuid() == 0 else tmp_path / "config" / "libvirt"
    folder.mkdir(parents=True)
    return folder / "libvirt.conf"


def test_alias(core: str, uri: str, connect: Connect, write_conf: Path) -> None:
    write_conf.write_text(f'uri_aliases = [\n  "lab={uri}",\n  "here=test:///default",\n]\n')
    assert connect("lab").getURI() == uri
    assert connect("here").getURI() == "test:///default"
    with pytest.raises(libvirt.libvirtError):
        libvirt.open("lap")


def test_default_of_the_file(core: str, uri: str, write_conf: Path) -> None:
    write_conf.write_text(f'uri_default = "{uri}"\n')
    with libvirt.open(None) as conn:
        assert conn.getURI() == uri and conn.getHostname() == "alpha"


def test_default_of_the_environment(
    uri: str, write_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_conf.write_text(
        'uri_default = "test:///nowhere"\nuri_aliases = ["lab=test:///default"]\n'
    )
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", uri)
    with libvirt.open() as conn:
        assert conn.getURI() == uri
    with libvirt.openReadOnly(None) as conn:
        assert conn.getURI() == uri
        with pytest.raises(libvirt.libvirtError) as caught:
            conn.lookupByName("test").suspend()
        assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "lab")
    with libvirt.open(None) as conn:
        assert conn.getURI() == "test:///default"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_address_literals(core: str, daemon: Daemon, connect: Connect, address: str) -> None:
    proxy = Proxy(daemon.socket, None, address=address)
    host = f"[{address}]" if ":" in address else address
    try:
        conn = connect(f"test+tcp://{host}:{proxy.port}/default")
        assert conn.getHostname() == "alpha"
        assert conn.isSecure() == 0 and conn.isEncrypted() == 0
        assert conn.getURI() == f"test+tcp://{host}:{proxy.port}/default"
    finally:
        proxy.close()


def error_of(uri: str) -> libvirt.libvirtError:
    with pytest.raises(libvirt.libvirtError) as caught:
        libvirt.open(uri)
    return caught.value


def test_path_too_long_for_a_socket() -> None:
    path = "/tmp/" + "x" * 120
    error = error_of(f"test+unix:///default?socket={path}")
    assert str(error) == f"Path {path} too long for unix socket: Cannot allocate memory"
    assert error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR


@pytest.mark.parametrize(
    ("uri", "code", "words"),
    [
        ("qemu+pigeon:///system", libvirt.VIR_ERR_INVALID_ARG, "transport in URL not recognised"),
        ("qemu+tcp:///system?mode=sideways", libvirt.VIR_ERR_INVALID_ARG, "sideways"),
        ("test+unix://elsewhere/default", libvirt.VIR_ERR_INVALID_ARG, "elsewhere"),
        ("nonsense", libvirt.VIR_ERR_NO_CONNECT, "nonsense"),
        ("qemu+tcp://[::1/system", libvirt.VIR_ERR_INTERNAL_ERROR, "[::1"),
    ],
)
def test_senseless_uris(uri: str, code: int, words: str) -> None:
    error = error_of(uri)
    assert (error.get_error_code(), words in str(error)) == (code, True), str(error)
