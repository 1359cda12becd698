# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_codec.py: the C codec as Python sees it: values, both stream formats, faults, threads.

That it agrees with the pure one on every type is tested in tests/differential.
"""

from __future__ import annotations

import enum
import importlib
import marshal
import pickle
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import libvirtcore
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_ERR_RPC, VIR_FROM_RPC
from libvirtcore.generated.tables import PROGRAMS

codec = pytest.importorskip("libvirtcore.codec", reason="missing: the C core")

REMOTE = {row.name: row for row in PROGRAMS[0x20008086].procedures if row is not None}
UUID = bytes(range(16))
GUEST = ("guest", UUID, 7)
INFO = (1, 2**40, 2**64 - 1, 4, 2**31)
STATS = (
    [
        (GUEST, [("state.state", 1, -1), ("cpu.time", 4, 2**63), ("balloon", 2, 2**32 - 1)]),
        (
            GUEST,
            [("cpu.time", 3, -(2**63)), ("load", 5, 0.5), ("ok", 6, True), ("né", 7, "ö" * 300)],
        ),
    ],
)
VALUES = [
    (REMOTE["domain_create"].args, (GUEST,)),
    (REMOTE["domain_get_info"].ret, INFO),
    (REMOTE["connect_open"].args, (None, 1)),
    (REMOTE["connect_open"].args, ("qemu:///system", 2**32 - 1)),
    (REMOTE["connect_get_all_domain_stats"].ret, STATS),
    (REMOTE["connect_list_domains"].ret, ([],)),
    (REMOTE["connect_list_domains"].ret, (list(range(-500, 500)),)),
    (REMOTE["node_get_info"].ret, (b"x86\xe9".ljust(32, b"\0"), 2**63, 1, 2, 3, 4, 5, 6)),
    (0, None),
]


@pytest.fixture(params=["marshal", "pickle"])
def stream_format(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both formats in which the core can hand over values."""
    if request.param == "pickle":
        monkeypatch.setattr(codec, "loads", pickle.loads)
        monkeypatch.setattr(codec, "FORMAT", codec.lib.LVC_DECODE_PICKLE)
    yield request.param


@pytest.mark.parametrize(("type_offset", "value"), VALUES)
def test_value_survives_the_round_trip(type_offset: int, value: Any, stream_format: str) -> None:
    assert codec.decode(type_offset, codec.encode(type_offset, value)) == value


def test_typed_parameters_become_a_dict(stream_format: str) -> None:
    type_offset = REMOTE["domain_get_scheduler_parameters"].ret
    raw = codec.encode(type_offset, ([("a", 1, 1), ("b", 7, "x"), ("a", 6, True)],))
    decoded = codec.decode(type_offset, raw, True)
    assert decoded == ({"a": True, "b": "x"},)
    assert decoded[0]["a"] is True


def test_repeated_names_are_one_object(stream_format: str) -> None:
    type_offset = REMOTE["connect_get_all_domain_stats"].ret
    records = [(GUEST, [(f"name.{i}", 1, i) for i in range(600)]) for _ in range(3)]
    [first, *others] = codec.decode(type_offset, codec.encode(type_offset, (records,)), True)[0]
    for _, params in others:
        shared = sum(a is b for a, b in zip(first[1], params, strict=True))
        assert shared > 550  # a few have no place in the table; none may be wrong
        assert params == first[1]


@pytest.mark.parametrize("length", [254, 255, 256, 257, 65536])
@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_string_of_any_length(length: int, letter: str, stream_format: str) -> None:
    type_offset = REMOTE["domain_get_xml_desc"].ret
    raw = codec.encode(type_offset, (letter * length,))
    assert codec.decode(type_offset, raw) == (letter * length,)


def test_known_bytes() -> None:
    raw = (
        b"\0\0\0\5" b"guest\0\0\0"  # name, padded
        + UUID
        + b"\0\0\0\7"  # id
    )  # fmt: skip
    assert codec.encode(REMOTE["domain_create"].args, (GUEST,)) == raw
    assert codec.decode(REMOTE["domain_create"].args, raw) == (GUEST,)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_message_of_any_buffer_type(kind: type) -> None:
    raw = codec.encode(REMOTE["domain_create"].args, (GUEST,))
    assert codec.decode(REMOTE["domain_create"].args, kind(raw)) == (GUEST,)


class Flags(enum.IntFlag):
    ONE = 1


class Name(str):
    pass


class Dom(NamedTuple):
    name: str
    uuid: bytearray
    id: int


def test_derived_classes_encode_as_their_base() -> None:
    type_offset = REMOTE["domain_get_xml_desc"].args
    plain = codec.encode(type_offset, (GUEST, 1))
    assert codec.encode(type_offset, (Dom(Name("guest"), bytearray(UUID), 7), Flags.ONE)) == plain
    assert codec.encode(type_offset, [list(GUEST), True]) == plain


@pytest.mark.parametrize("value", [value for _, value in VALUES] + [2**75, -(2**75), (), "\ud800"])
def test_own_writer_writes_what_marshal_writes(value: Any) -> None:
    assert codec.write(value) == marshal.dumps(value, 2)


def test_own_writer_takes_over_where_marshal_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marshal, "dumps", lambda value, version: b"something else")
    slow, quick = codec._choose_writer()
    assert slow is codec.write
    with pytest.raises(ValueError):
        quick((1,), 2)


def test_pickle_takes_over_where_marshal_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: Any) -> Any:
        raise ValueError("bad marshal data (unknown type code)")

    monkeypatch.setattr(marshal, "loads", refuse)
    assert codec._choose_reader() == (pickle.loads, codec.lib.LVC_DECODE_PICKLE)
    monkeypatch.setattr(pickle, "loads", refuse)
    with pytest.raises(ImportError):
        codec._choose_reader()


def test_core_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirtcore, "__version__", "0.0.0")
    with pytest.warns(RuntimeWarning, match="its Python half 0.0.0"), pytest.raises(ImportError):
        importlib.reload(codec)
    monkeypatch.undo()
    importlib.reload(codec)


FAULTS = [
    (("a",), "args[0]: expected tuple, got str"),
    ((GUEST, 0), "args: expected 1 values, got 2"),
    ((("a", UUID[1:], 7),), "args[0][1]: expected 16 bytes, got 15"),
    ((("a", UUID, 2**31),), "args[0][2]: 2147483648 is outside -2147483648..2147483647"),
    ((("a", UUID, 2**64),), "args[0][2]: the number does not fit in 64 bits"),
    ((("a", UUID, 1.0),), "args[0][2]: expected int, got float"),
    ((("a", UUID, None),), "args[0][2]: expected int, got None"),
    ((("a", UUID, {1}),), "args[0][2]: expected int, got set"),
    ((("a", UUID, threading),), "args[0][2]: expected int, got module"),
    (((b"a", UUID, 1),), "args[0][0]: expected str, got bytes"),
    ((("a\0b", UUID, 1),), "args[0][0]: the string holds a NUL at byte 1"),
    ((("é\udcff", UUID, 1),), "args[0][0]: the string is not UTF-8 at byte 2"),
    ((("x" * 4194305, UUID, 1),), "args[0][0]: 4194305 bytes exceed the limit of 4194304"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), FAULTS, ids=[text for _, text in FAULTS])
def test_encode_names_the_place_of_a_fault(value: Any, text: str) -> None:
    with pytest.raises(VirError) as caught:
        codec.encode(REMOTE["domain_create"].args, value)
    assert (caught.value.code, caught.value.domain) == (VIR_ERR_RPC, VIR_FROM_RPC)
    assert f"Unable to encode message payload: {text}" in str(caught.value)


def test_decode_names_the_place_of_a_fault() -> None:
    raw = codec.encode(REMOTE["domain_create"].args, (GUEST,))
    with pytest.raises(VirError) as caught:
        codec.decode(REMOTE["domain_create"].args, raw[:-1])
    assert (caught.value.code, caught.value.domain) == (VIR_ERR_RPC, VIR_FROM_RPC)
    assert (
        "Unable to decode message payload: message[0][2] at byte 28: 4 bytes are needed, 3 remain"
        in str(caught.value)
    )


@pytest.mark.parametrize("type_offset", [10, 2**31, 2**32 - 1])
def test_offset_that_is_no_type_is_refused(type_offset: int) -> None:
    with pytest.raises(VirError) as caught:
        codec.decode(type_offset, b"")
    assert caught.value.code == VIR_ERR_INTERNAL_ERROR


@pytest.mark.slow
def test_threads_do_not_share_buffers() -> None:
    type_offset = REMOTE["domain_get_xml_desc"].ret
    wrong: list[str] = []

    def work(letter: str) -> None:
        for length in range(1, 20000, 97):
            raw = codec.encode(type_offset, (letter * length,))
            if codec.decode(type_offset, raw) != (letter * length,):
                wrong.append(letter)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
