# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_roundtrip.py: what is written is read back the same, whatever the model can hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libvirtcore.conf import (
    FORMAT_SECURE,
    PARSE_INACTIVE,
    Devices,
    Domain,
    format_device,
    parse_device,
)
from libvirtcore.conf.nodes import read_document
from libvirtcore.conf.reader import read
from libvirtcore.conf.schema import ATTRIBUTE, LEAF, TEXT, Element, Field
from libvirtcore.conf.values import Choice, Integer, Natural, Text, Truth
from libvirtcore.conf.writer import format_element
from libvirtcore.errors import VirError
from tests.conf.recordings import load

GOOD = [r.xml for r in load() if r.dump is not None]


@pytest.mark.parametrize("xml", GOOD, ids=range(len(GOOD)))
def test_document_survives(xml: str) -> None:
    """parse → format → parse gives the same object, and the same text from then on."""
    try:
        first = Domain.parse(xml, PARSE_INACTIVE)
    except VirError:
        pytest.skip("missing: nothing, the document is refused on purpose")
    text = first.format(FORMAT_SECURE)
    second = Domain.parse(text, PARSE_INACTIVE)
    assert first == second
    assert text == second.format(FORMAT_SECURE)


@pytest.mark.parametrize("xml", GOOD[::7], ids=range(len(GOOD[::7])))
def test_copy_is_equal_and_independent(xml: str) -> None:
    try:
        first = Domain.parse(xml, PARSE_INACTIVE)
    except VirError:
        pytest.skip("missing: nothing, the document is refused on purpose")
    second = first.copy()
    assert first == second
    text = first.format()
    second.devices.disks.clear()
    second.os.boots.clear()
    second.vcpu.value = 77
    second.clock.offset = "localtime"
    assert text == first.format()
    assert first != second


# --- every class with random values ---------------------------------------------------------------

WORDS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Cn"), blacklist_characters="\ufffe\uffff"),
    min_size=1, max_size=12,
)  # fmt: skip


def classes() -> list[type[Element]]:
    """Every class of the model, once."""
    seen: dict[type[Element], None] = {}
    queue: list[type[Element]] = [Domain]
    while queue:
        cls = queue.pop()
        if cls not in seen:
            seen[cls] = None
            queue.extend(f.element for f in cls.FIELDS if f.element is not None)
    return list(seen)


def values(field: Field) -> st.SearchStrategy[Any] | None:
    """Values a field can hold, None for fields this test leaves alone."""
    codec: Any = field.codec
    if field.kind not in (ATTRIBUTE, LEAF, TEXT) or field.secret:
        return None
    if type(codec) is Text:
        return WORDS
    if type(codec) is Choice:
        return st.sampled_from(codec.words)
    if isinstance(codec, Truth):
        return st.booleans()
    if type(codec) is Natural:
        return st.integers(0, 2**31 - 1)
    if type(codec) is Integer:
        return st.integers(max(codec._low, 1), codec._high)
    return None


PLAIN = [
    cls for cls in classes() if cls.parsed is Element.parsed and cls.printed is Element.printed
]


@pytest.mark.parametrize("cls", PLAIN, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_any_values_survive(cls: type[Element], data: st.DataObject) -> None:
    """All classes without rules of their own: each field is written so that it is read back."""
    new = cls()
    kind = None
    if cls.KIND:
        kind = data.draw(st.sampled_from(sorted(cls.KINDS)))
        words = values(cls.NAMES[cls.KIND])
        assert words is not None
        setattr(new, cls.KIND, kind)
    for field in cls.plan(kind).fields:
        strategy = values(field)
        if strategy is None or field.name == cls.KIND:
            continue
        if field.required or field.kind == TEXT or data.draw(st.booleans()):
            setattr(new, field.name, data.draw(strategy))
    text = format_element(new, "x", FORMAT_SECURE, kind)
    node, _ = read_document(text, "x")
    try:
        again = read(cls, node, kind)
    except VirError as error:  # a required child this test does not make
        assert "issing" in error.message
        return
    assert new == again
    assert text == format_element(again, "x", FORMAT_SECURE, kind)


DEVICES = [
    "<disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>",
    "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>",
    "<channel type='unix'><target type='virtio' name='a.b'/></channel>",
]


@pytest.mark.parametrize("xml", DEVICES)
def test_device_alone_survives(xml: str) -> None:
    device = parse_device(xml)
    text = format_device(device)
    assert text.replace("\n", "").replace("  ", "") == xml
    assert parse_device(text) == device


def test_every_device_can_stand_alone() -> None:
    for field in Devices.FIELDS:
        if field.element is not None:
            assert format_device(field.element()).startswith(f"<{field.xml}")
