# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_sockets.py: listening: modes under any umask, groups, long paths, stale and taken ones."""

from __future__ import annotations

import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from libvirtd import config, paths, sockets
from libvirtd.fatal import Fatal
from libvirtd.services import TCP, UNIX, UNIX_RO
from tests.ours_daemon import answers

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files to groups")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=lambda mask: f"umask-{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def places(root: Path) -> paths.Paths:
    found = paths.choose(str(root))
    os.makedirs(found.run, exist_ok=True)
    return found


def settings(text: str = "") -> config.Config:
    return config.read(text, "/etc/c.conf")


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_default_modes_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(0o022)
    where = places(tmp_path)
    os.umask(before)
    listeners = sockets.open_all(settings(), where, listen=False)
    assert os.umask(umask) == umask, "the umask must come back"
    assert [service for _, service in listeners.sockets] == [UNIX_RO, UNIX]
    assert (mode_of(where.socket), mode_of(where.socket_ro)) == (0o700, 0o777)
    listeners.close()
    assert os.listdir(where.run) == []


def test_modes_come_from_the_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(0o022)
    where = places(tmp_path)
    os.umask(before)
    text = 'unix_sock_rw_perms = "0660"\nunix_sock_ro_perms = "0666"\n'
    listeners = sockets.open_all(settings(text), where, listen=False)
    assert (mode_of(where.socket), mode_of(where.socket_ro)) == (0o660, 0o666)
    listeners.close()


@root_only
@pytest.mark.parametrize("by_name", [True, False])
def test_a_group_owns_both_sockets(tmp_path: Path, by_name: bool) -> None:
    group = grp.getgrgid(1)
    where = places(tmp_path)
    name = group.gr_name if by_name else "1"
    text = f'unix_sock_group = "{name}"\nunix_sock_rw_perms = "0770"\n'
    listeners = sockets.open_all(settings(text), where, listen=False)
    assert os.lstat(where.socket).st_gid == os.lstat(where.socket_ro).st_gid == 1
    assert mode_of(where.socket) == 0o770
    listeners.close()


def test_an_unknown_group_is_fatal_and_leaves_nothing(tmp_path: Path) -> None:
    where = places(tmp_path)
    with pytest.raises(Fatal, match="invalid argument: Failed to parse group 'nogrp'") as caught:
        sockets.open_all(settings('unix_sock_group = "nogrp"\n'), where, listen=False)
    assert caught.value.status == 6
    assert os.listdir(where.run) == []


def test_a_wrong_mode_leaves_no_socket(tmp_path: Path) -> None:
    where = places(tmp_path)
    with pytest.raises(Fatal, match="Failed to parse mode '0999'"):
        sockets.open_all(settings('unix_sock_ro_perms = "0999"\n'), where, listen=False)
    assert os.listdir(where.run) == []


@pytest.mark.parametrize("length", [50, 107, 108, 300, 1000])
def test_paths_of_any_length(tmp_path: Path, length: int) -> None:
    root = tmp_path
    while len(str(root)) < length:
        root = root / ("x" * min(200, max(1, length - len(str(root)) - 1)))
    where = places(root)
    listeners = sockets.open_all(settings(), where, listen=False)
    assert answers(where.socket)
    assert answers(where.socket_ro)
    with pytest.raises(Fatal, match="listens on it"):
        sockets.open_all(settings(), where, listen=False)
    assert answers(where.socket), "the refused one must not remove it"
    listeners.close()
    assert os.listdir(where.run) == []


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    where = places(tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(where.socket)
    listeners = sockets.open_all(settings(), where, listen=False)
    assert answers(where.socket)
    listeners.close()


def test_a_file_in_the_way_is_kept(tmp_path: Path) -> None:
    where = places(tmp_path)
    Path(where.socket).write_text("precious")
    with pytest.raises(Fatal, match="it is no socket"):
        sockets.open_all(settings(), where, listen=False)
    assert Path(where.socket).read_text() == "precious"


def test_the_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    where = places(tmp_path)
    listeners = sockets.open_all(settings(), where, listen=False)
    os.rename(where.socket, where.socket + ".old")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(where.socket)
        listeners.close()
        assert os.path.exists(where.socket)


def test_a_folder_of_the_users_choice(tmp_path: Path) -> None:
    where = places(tmp_path)
    (tmp_path / "mine").mkdir()
    text = f'unix_sock_dir = "{tmp_path}/mine"\n'
    listeners = sockets.open_all(settings(text), where, listen=False)
    assert sorted(os.listdir(tmp_path / "mine")) == ["libvirt-sock", "libvirt-sock-ro"]
    listeners.close()
    with pytest.raises(Fatal, match="Failed to bind socket to '/nonexistent/x/libvirt-sock"):
        sockets.open_all(settings('unix_sock_dir = "/nonexistent/x"\n'), where, listen=False)


def test_a_session_has_one_socket_for_its_user(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    where = paths.Paths(paths.SESSION, "", str(run), str(run / "pid"), "")
    listeners = sockets.open_all(
        settings('unix_sock_rw_perms = "0777"\nunix_sock_group = "daemon"\n'), where, listen=False
    )
    assert os.listdir(run) == ["libvirt-sock"]
    assert mode_of(where.socket) == 0o700
    listeners.close()


# --- tcp ------------------------------------------------------------------------------------------

TCP_CONF = 'listen_tcp = 1\nauth_tcp = "none"\ntcp_port = "{port}"\n'


def tcp(listeners: sockets.Listeners) -> list[tuple[object, ...]]:
    return [s.getsockname() for s, service in listeners.sockets if service == TCP]


def test_tcp_needs_the_option(tmp_path: Path) -> None:
    listeners = sockets.open_all(settings(TCP_CONF.format(port=0)), places(tmp_path), listen=False)
    assert tcp(listeners) == []
    listeners.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_tcp_listens_on_an_address(tmp_path: Path, address: str) -> None:
    if ":" in address and not has_ipv6():
        pytest.skip("missing: IPv6")
    text = TCP_CONF.format(port=0) + f'listen_addr = "{address}"\n'
    listeners = sockets.open_all(settings(text), places(tmp_path), listen=True)
    assert tcp(listeners)
    assert {str(name[0]) for name in tcp(listeners)} <= {"127.0.0.1", "::1"}
    listeners.close()


def test_tcp_listens_on_all_addresses_of_both_families(tmp_path: Path) -> None:
    port = free_port()
    listeners = sockets.open_all(
        settings(TCP_CONF.format(port=port)), places(tmp_path), listen=True
    )
    wanted = {"0.0.0.0", "::"} if has_ipv6() else {"0.0.0.0"}
    assert {name[0] for name in tcp(listeners)} == wanted
    assert listeners.ports() == [port] * len(wanted)
    listeners.close()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('tcp_port = "bogus"', "Unable to resolve address '.*' service 'bogus'"),
        ('listen_addr = "192.0.2.77"', "Unable to bind to port 192.0.2.77:.*Cannot assign"),
        ('listen_addr = "no.such.host.invalid"', "Unable to resolve address"),
    ],
)
def test_tcp_failures_are_clear(tmp_path: Path, setting: str, message: str) -> None:
    text = setting + '\nlisten_tcp = 1\nauth_tcp = "none"\n'
    with pytest.raises(Fatal, match=message) as caught:
        sockets.open_all(settings(text), places(tmp_path), listen=True)
    assert caught.value.status == 6
    assert os.listdir(places(tmp_path).run) == []


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = TCP_CONF.format(port=port) + 'listen_addr = "127.0.0.1"\n'
        with pytest.raises(Fatal, match=f"127.0.0.1:{port}: Address already in use"):
            sockets.open_all(settings(text), places(tmp_path), listen=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
