# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_settings.py: libvirt.conf is found where libvirt looks, and says which URI is meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from libvirtcore import settings
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c

Write = Callable[[str], None]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Write the libvirt.conf of an ordinary user."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def write(text: str) -> None:
        folder = tmp_path / "config" / "libvirt"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "libvirt.conf").write_text(text)

    return write


def uri(name: str | None, flags: int = 0) -> str | None:
    found = settings.connection_uri(name, flags)
    return None if found is None else str(found)


def test_settings_nothing_named_means_a_daemon_chooses() -> None:
    assert uri(None) is None
    assert uri("") is None


def test_settings_environment_comes_before_uri_default(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('uri_default = "test:///conf"')
    assert uri(None) == "test:///conf"
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "test:///env")
    assert uri(None) == "test:///env"
    assert uri("test:///named") == "test:///named"


def test_settings_root_reads_the_system_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Write
) -> None:
    write('uri_default = "test:///user"')
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "libvirt.conf").write_text('uri_default = "test:///system"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert uri(None) == "test:///system"


def test_settings_aliases(write: Write) -> None:
    write('uri_aliases = [ "hail=test:///a", "sl-ee_t=qemu+ssh://root@sleet/system" ]')
    assert uri("hail") == "test:///a"
    assert uri("sl-ee_t") == "qemu+ssh://root@sleet/system"
    with pytest.raises(VirError) as caught:
        uri("hail", c.VIR_CONNECT_NO_ALIASES)
    assert caught.value.code == c.VIR_ERR_NO_CONNECT
    assert caught.value.message == (
        "no connection driver available for URI 'hail' does not include a driver name"
    )


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("bad alias=foo", "aliases may only contain 'a-Z, 0-9, _, -'"),
        ("noeq", "expected 'alias=uri://host/path'"),
    ],
)
def test_settings_malformed_alias(write: Write, entry: str, hint: str) -> None:
    write(f'uri_aliases = [ "{entry}" ]')
    with pytest.raises(VirError) as caught:
        uri("test:///default")
    assert (caught.value.code, caught.value.domain) == (c.VIR_ERR_CONF_SYNTAX, c.VIR_FROM_URI)
    assert caught.value.str2 == f"Malformed 'uri_aliases' config entry '{entry}', {hint}"


def test_settings_wrong_type_names_the_file(write: Write, tmp_path: Path) -> None:
    write('uri_aliases = "hail=x"')
    with pytest.raises(VirError) as caught:
        uri("hail")
    path = tmp_path / "config" / "libvirt" / "libvirt.conf"
    assert caught.value.str2 == f"{path}: expected a string list for 'uri_aliases' parameter"


@pytest.mark.parametrize("text", ["qemu:system", "qemu://session", "vz://system"])
def test_settings_a_slash_too_few(text: str) -> None:
    with pytest.raises(VirError, match=r"invalid URI \w+://\w+ \(maybe you want \w+:///\w+\)"):
        uri(text)
    assert uri("foo://system") == "foo://system"


def test_settings_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/r")
    assert settings.runtime_directory() == "/r/libvirt"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert settings.runtime_directory() == "/c/libvirt"
