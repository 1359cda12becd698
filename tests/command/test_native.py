# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_native.py: our domxml-to-native prints what the real daemon printed, for every record.

The records are those of tests/interop/domains. Once from the complete document as the real daemon
dumped it, once from the document as it was written. Differences are listed here with a reason.
"""

from __future__ import annotations

import pytest

from tests.command import support
from tests.interop import domxml

COMPLETE_DIFFERS: dict[str, str] = {}

# From the document as written; that needs every default and address to be ours as well.
WRITTEN_DIFFERS = {
    "bad-pci-slot-zero": "libvirt refuses it at define only; we refuse it at once",
    "bad-name-newline": "libvirt refuses the name at define only; we refuse it at once",
    "disk-nbd-reconnect": "libvirt knows how long to reconnect to NBD since a version after 9.0",
    "video-blob": "libvirt knows blob resources of video cards since a version after 9.0",
}

# They must stay so many: a record that gets lost is noticed.
LEAST_RECORDS = 300


def _records() -> list[str]:
    return sorted(path.stem for path in domxml.EXPECTED.glob("*.argv"))


def _ours(name: str, text: str) -> str:
    source = domxml.document(name)
    return domxml.split_command(domxml.normalise(support.native(text), source))


def _complete() -> list[str]:
    return [name for name in _records() if (domxml.EXPECTED / f"{name}.xml").exists()]


@pytest.mark.parametrize("name", _complete())
def test_native_of_a_complete_document(name: str) -> None:
    record = domxml.recorded(name)
    assert record.argv is not None and record.xml is not None
    same = _ours(name, record.xml) == record.argv
    if name in COMPLETE_DIFFERS:
        assert not same, f"{name} no longer differs; take it off the list"
    else:
        assert _ours(name, record.xml).splitlines() == record.argv.splitlines()


@pytest.mark.parametrize("name", _records())
def test_native_of_a_document_as_written(name: str) -> None:
    record = domxml.recorded(name)
    assert record.argv is not None
    if name in WRITTEN_DIFFERS:
        pytest.xfail(WRITTEN_DIFFERS[name])
    assert _ours(name, domxml.document(name)).splitlines() == record.argv.splitlines()


def test_records_are_there() -> None:
    assert len(_complete()) >= LEAST_RECORDS
    assert set(COMPLETE_DIFFERS) | set(WRITTEN_DIFFERS) <= set(_records())
