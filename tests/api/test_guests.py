# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_guests.py: doors of domains that no wire argument mirrors: files, clock, keys, peeking."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import libvirtmod
import libvirtmod_qemu
from libvirtcore import errors
from libvirtcore.handles import DomainHandle
from tests.api.conftest import UUID, World


def message() -> str:
    error = errors.last_error()
    return "" if error is None else error.message


def test_create_linux_is_create_xml(world: World) -> None:
    world.says(domain_create_xml=world.dom)
    assert libvirtmod.virDomainCreateLinux(world.conn, "<domain/>", 1) is world.dom
    assert world.driver.calls == [("domain_create_xml", "<domain/>", 1)]


# --- descriptors ----------------------------------------------------------------------------------


def test_create_with_files_passes_descriptors_and_renumbers(world: World) -> None:
    world.says(domain_create_with_files=DomainHandle(world.conn, "vm", UUID, 12))
    assert libvirtmod.virDomainCreateWithFiles(world.dom, [3, 4], 1) == 0
    assert world.driver.calls == [("domain_create_with_files", world.dom, 1, [3, 4])]
    assert world.dom.id == 12


def test_create_xml_with_files(world: World) -> None:
    world.says(domain_create_xml_with_files=world.dom)
    assert libvirtmod.virDomainCreateXMLWithFiles(world.conn, "<x/>", [3], 0) is world.dom
    assert libvirtmod.virDomainCreateXMLWithFiles(world.conn, None, [3], 0) is None
    assert message() == "xmlDesc in virDomainCreateXMLWithFiles must not be NULL"


@pytest.mark.parametrize("files", ["a", None, (3,), ["a"]])
def test_files_are_a_list_of_numbers(world: World, files: Any) -> None:
    with pytest.raises(TypeError):
        libvirtmod.virDomainCreateWithFiles(world.dom, files, 0)


def test_fd_associate(world: World) -> None:
    world.says(domain_fd_associate=None)
    assert libvirtmod.virDomainFDAssociate(world.dom, "disk", [5], 0) == 0
    assert world.driver.calls == [("domain_fd_associate", world.dom, "disk", 0, [5])]
    assert libvirtmod.virDomainFDAssociate(world.dom, "disk", [], 0) == -1
    assert message() == "nfds in virDomainFDAssociate must not be zero"


def test_open_graphics_passes_a_socket(world: World) -> None:
    world.says(domain_open_graphics=None)
    with socket.socket() as sock:
        assert libvirtmod.virDomainOpenGraphics(world.dom, 1, sock.fileno(), 0) == 0
        assert world.driver.calls == [("domain_open_graphics", world.dom, 1, 0, [sock.fileno()])]


def test_open_graphics_refuses_a_closed_descriptor(world: World) -> None:
    assert libvirtmod.virDomainOpenGraphics(world.dom, 1, 987654, 0) == -1
    assert message() == "Unable to access 987654: Bad file descriptor"


def test_monitor_command_with_files(world: World) -> None:
    world.says(qemu_domain_monitor_command_with_files=("{}", [7]))
    command = libvirtmod_qemu.virDomainQemuMonitorCommandWithFiles
    assert command(world.dom, "{}", [3], 1) == ("{}", [7])
    assert world.driver.calls[0][1:] == (world.dom, "{}", 1, [3])
    assert command(world.dom, None, [], 0) is None


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "method", "handle", "args"),
    [
        ("virDomainSave", "domain_save", "dom", ()),
        ("virDomainSaveFlags", "domain_save_flags", "dom", (None, 0)),
        ("virDomainRestore", "domain_restore", "conn", ()),
        ("virDomainRestoreFlags", "domain_restore_flags", "conn", (None, 0)),
        ("virDomainSaveImageDefineXML", "domain_save_image_define_xml", "conn", ("<x/>", 0)),
        ("virDomainCoreDump", "domain_core_dump", "dom", (1,)),
        ("virDomainCoreDumpWithFormat", "domain_core_dump_with_format", "dom", (1, 1)),
    ],
)
def test_paths_are_made_absolute(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    function: str,
    method: str,
    handle: str,
    args: tuple[Any, ...],
) -> None:
    """Another process opens the file, in another directory."""
    monkeypatch.chdir(tmp_path)
    world.says(**{method: None})
    target = getattr(world, handle)
    call = getattr(libvirtmod, function)
    assert (call(target, "a/../b", *args), call(target, "/c", *args)) == (0, 0)
    place = 1 if handle == "conn" else 2
    assert [made[place] for made in world.driver.calls] == [f"{tmp_path}/a/../b", "/c"]
    assert call(target, None, *args) == -1
    assert message().endswith(f"in {function} must not be NULL")
    assert len(world.driver.calls) == 2


def test_xml_of_a_saved_guest(world: World) -> None:
    world.says(domain_save_image_get_xml_desc="<domain/>")
    assert libvirtmod.virDomainSaveImageGetXMLDesc(world.conn, "/f", 1) == "<domain/>"
    assert world.driver.calls == [("domain_save_image_get_xml_desc", "/f", 1)]


# --- peeking --------------------------------------------------------------------------------------


def test_peeking(world: World) -> None:
    world.says(domain_block_peek=b"disk", domain_memory_peek=b"memory")
    assert libvirtmod.virDomainBlockPeek(world.dom, "vda", -1, 4, 0) == b"disk"
    assert world.driver.calls[-1] == ("domain_block_peek", world.dom, "vda", (1 << 64) - 1, 4, 0)
    assert libvirtmod.virDomainMemoryPeek(world.dom, 5, 6, 1) == b"memory"
    assert world.driver.calls[-1] == ("domain_memory_peek", world.dom, 5, 6, 1)


def test_peeking_at_less_than_nothing(world: World) -> None:
    assert libvirtmod.virDomainMemoryPeek(world.dom, 0, -1, 1) is None
    assert message() == "size in virDomainMemoryPeek must not be negative"
    assert libvirtmod.virDomainBlockPeek(world.dom, "vda", 0, -1, 0) is None
    assert message() == "size in virDomainBlockPeek must not be negative"
    assert world.asked == []


# --- keys, clock, file systems --------------------------------------------------------------------


def test_send_key(world: World) -> None:
    world.says(domain_send_key=None)
    assert libvirtmod.virDomainSendKey(world.dom, 0, 50, [29, 56], 2, 0) == 0
    assert world.driver.calls == [("domain_send_key", world.dom, 0, 50, [29, 56], 0)]


def test_send_key_counts_its_keys(world: World) -> None:
    assert libvirtmod.virDomainSendKey(world.dom, 0, 0, [1, 2], 3, 0) == -1
    assert "must be the number of keycodes, 2" in message()
    with pytest.raises(TypeError):
        libvirtmod.virDomainSendKey(world.dom, 0, 0, ["a"], 1, 0)


@pytest.mark.parametrize(
    ("time", "flags", "sent"),
    [
        ({"seconds": 5, "nseconds": 6}, 0, (5, 6, 0)),
        ({"seconds": 5}, 0, (5, 0, 0)),
        (None, 1, (0, 0, 1)),
    ],
)
def test_set_time(world: World, time: Any, flags: int, sent: tuple[int, int, int]) -> None:
    world.says(domain_set_time=None)
    assert libvirtmod.virDomainSetTime(world.dom, time, flags) == 0
    assert world.driver.calls == [("domain_set_time", world.dom, *sent)]


@pytest.mark.parametrize(
    ("time", "error", "message"),
    [
        (None, TypeError, "time must be a dictionary or None with flags set"),
        (5, TypeError, "time must be a dictionary or None with flags set"),
        ({}, LookupError, "Dictionary must contains 'seconds'"),
        ({"seconds": 1, "x": 2}, LookupError, "Dictionary contains unknown key"),
        ({"seconds": "1"}, TypeError, "cannot be interpreted as an integer"),
    ],
)
def test_set_time_refuses(world: World, time: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        libvirtmod.virDomainSetTime(world.dom, time, 0)


@pytest.mark.parametrize(("given", "sent"), [(None, []), ([], []), (["/"], ["/"])])
def test_freezing(world: World, given: Any, sent: list[str]) -> None:
    world.says(domain_fsfreeze=2, domain_fsthaw=3)
    assert libvirtmod.virDomainFSFreeze(world.dom, given, 0) == 2
    assert libvirtmod.virDomainFSThaw(world.dom, given, 0) == 3
    assert [call[2] for call in world.driver.calls] == [sent, sent]


# --- statistics, pages ----------------------------------------------------------------------------


def test_statistics_need_domains_of_this_connection(world: World) -> None:
    assert libvirtmod.virDomainListGetStats(world.conn, [], 0, 0) is None
    assert message() == (
        "invalid argument: doms array in virDomainListGetStats must contain at least one domain"
    )
    assert libvirtmod.virDomainListGetStats(world.conn, [World().dom], 0, 0) is None
    assert "must belong to one connection" in message()


def test_alloc_pages(world: World) -> None:
    world.says(node_alloc_pages=1)
    assert libvirtmod.virNodeAllocPages(world.conn, {2048: 5, 4: 6}, 0, 1, 0) == 1
    assert world.driver.calls == [("node_alloc_pages", [2048, 4], [5, 6], 0, 1, 0)]
    with pytest.raises(LookupError):
        libvirtmod.virNodeAllocPages(world.conn, {}, 0, 1, 0)
    with pytest.raises(TypeError):
        libvirtmod.virNodeAllocPages(world.conn, [], 0, 1, 0)
    with pytest.raises(TypeError, match="pagesize must be list"):
        libvirtmod.virNodeGetFreePages(world.conn, 4, 0, 1, 0)
