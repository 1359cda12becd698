# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_args.py: argument conversion: what libvirt-python's C module takes, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore.api import args
from tests.api.conftest import UUID, World

BIG = "Python int too large to convert to C long"


@pytest.mark.parametrize(
    ("convert", "value", "result"),
    [
        (args.u32, 5, 5),
        (args.u32, True, 1),
        (args.u32, -1, 0xFFFFFFFF),
        (args.u32, 1 << 32, 0),
        (args.u32, -(1 << 40), 0),
        (args.i32, -(1 << 31), -(1 << 31)),
        (args.i32, (1 << 31) - 1, (1 << 31) - 1),
        (args.ulong, -1, (1 << 64) - 1),
        (args.ulong, (1 << 63) - 1, (1 << 63) - 1),
        (args.u64, -1, (1 << 64) - 1),
        (args.i64, -(1 << 63), -(1 << 63)),
        (args.u64_masked, -1, (1 << 64) - 1),
        (args.u64_masked, 1 << 65, 0),
        (args.size, (1 << 63) - 1, (1 << 63) - 1),
    ],
)
def test_integers_follow_the_c_formats(convert: Any, value: int, result: int) -> None:
    assert convert(value) == result


@pytest.mark.parametrize(
    ("convert", "value", "message"),
    [
        (args.i32, 1 << 31, "signed integer is greater than maximum"),
        (args.i32, -(1 << 31) - 1, "signed integer is less than minimum"),
        (args.i32, 1 << 70, BIG),
        (args.ulong, 1 << 63, BIG),
        (args.u64, 1 << 63, "int too big to convert"),
        (args.i64, 1 << 63, "int too big to convert"),
        (args.size, 1 << 63, "cannot fit 'int' into an index-sized integer"),
    ],
)
def test_integers_out_of_range(convert: Any, value: int, message: str) -> None:
    with pytest.raises(OverflowError, match=f"^{message}$"):
        convert(value)


@pytest.mark.parametrize("convert", [args.u32, args.i32, args.ulong, args.u64, args.i64, args.size])
@pytest.mark.parametrize("value", ["1", 1.0, None, b"1"])
def test_integers_only(convert: Any, value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(TypeError, match=f"^'{kind}' object cannot be interpreted as an integer$"):
        convert(value)


@pytest.mark.parametrize("value", ["", "vm", "grüß", None])
def test_text_passes(value: str | None) -> None:
    assert args.text(value, "virX", 2) == value


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (5, TypeError, r"virX\(\) argument 2 must be str or None, not int"),
        (b"vm", TypeError, r"virX\(\) argument 2 must be str or None, not bytes"),
        ("a\0b", ValueError, "embedded null character"),
        ("a\udc80", UnicodeEncodeError, "surrogates not allowed"),
    ],
)
def test_text_refuses(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        args.text(value, "virX", 2)


def test_data_takes_bytes_and_text_as_utf8() -> None:
    assert args.data(b"\0x", "virX", 2) == b"\0x"
    assert args.data("ü", "virX", 2) == b"\xc3\xbc"


def test_data_refuses_what_can_change() -> None:
    with pytest.raises(TypeError, match="must be read-only bytes-like object, not bytearray"):
        args.data(bytearray(16), "virX", 2)


def test_texts_is_a_list_of_str() -> None:
    assert args.texts(["a", "b"]) == ["a", "b"]
    assert args.texts(None) is None
    for wrong in ("ab", [5], 5):
        with pytest.raises(TypeError):
            args.texts(wrong)


# --- at the door ----------------------------------------------------------------------------------


def test_door_names_function_and_position(world: World) -> None:
    with pytest.raises(TypeError, match=r"^virDomainLookupByName\(\) argument 2 must be str"):
        libvirtmod.virDomainLookupByName(world.conn, 5)


def test_door_cuts_flags_to_32_bits(world: World) -> None:
    world.says(domain_get_xml_desc="<domain/>")
    assert libvirtmod.virDomainGetXMLDesc(world.dom, (1 << 32) | 2) == "<domain/>"
    assert world.driver.calls == [("domain_get_xml_desc", world.dom, 2)]


def test_door_refuses_what_is_no_handle(world: World) -> None:
    with pytest.raises(TypeError, match="takes a handle, not str"):
        libvirtmod.virDomainGetInfo("vm")


def test_door_takes_uuids_as_bytes(world: World) -> None:
    world.says(domain_lookup_by_uuid=world.dom)
    assert libvirtmod.virDomainLookupByUUID(world.conn, UUID) is world.dom
    assert world.driver.calls == [("domain_lookup_by_uuid", UUID)]
