# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_recordings.py: dumps and errors equal the real library's, document by document."""

from __future__ import annotations

import pytest

from libvirtcore.conf import FORMAT_INACTIVE, FORMAT_SECURE, PARSE_INACTIVE, Domain
from libvirtcore.errors import VirError
from tests.conf.recordings import DIFFERENCES, Recording, load, sections, without_addresses

RECORDINGS = load()
IMPLIED = {"console", "serial", "video"}


def excused(xml: str) -> bool:
    return any(mark in xml for mark in DIFFERENCES)


def shown(recording: Recording) -> str:
    body = recording.xml.partition("</os>")[2] or recording.xml
    return body[:60].replace("\n", " ")


ERRORS = [r for r in RECORDINGS if r.error is not None and not excused(r.xml)]
DUMPS = [r for r in RECORDINGS if r.dump is not None and not excused(r.xml)]


def test_enough_is_recorded() -> None:
    assert len(ERRORS) > 300
    assert len(DUMPS) > 200


@pytest.mark.parametrize("recording", ERRORS, ids=shown)
def test_error_equals_the_recorded_one(recording: Recording) -> None:
    with pytest.raises(VirError) as caught:
        Domain.parse(recording.xml, PARSE_INACTIVE)
    error = caught.value
    assert recording.error == (error.code, error.domain, error.message)


@pytest.mark.parametrize("recording", DUMPS, ids=shown)
def test_dump_equals_the_recorded_one(recording: Recording) -> None:
    """Every element of the document, in order and spelling; addresses are a driver's choice."""
    assert recording.dump is not None
    ours = Domain.parse(recording.xml, PARSE_INACTIVE).format(FORMAT_INACTIVE | FORMAT_SECURE)
    expected, actual = sections(recording.dump), sections(ours)
    for name in (expected.keys() | actual.keys()) - {"domain"}:
        if name in IMPLIED and f"<{name}" not in recording.xml:
            continue
        mine, real = actual.get(name, []), expected.get(name, [])
        if "<address" not in recording.xml:
            mine, real = without_addresses(mine), without_addresses(real)
        if f"<{name}" not in recording.xml and not mine:
            continue  # added by the driver
        assert real == mine
    if "<uuid>" in recording.xml:
        assert expected["domain"] == actual["domain"]


def test_every_excuse_is_used() -> None:
    """A reason that excuses nothing any more is taken out."""
    idle = []
    for mark in DIFFERENCES:
        for recording in RECORDINGS:
            if mark in recording.xml and not same(recording):
                break
        else:
            idle.append(mark)
    assert idle == []


def same(recording: Recording) -> bool:
    try:
        ours = Domain.parse(recording.xml, PARSE_INACTIVE).format(FORMAT_INACTIVE | FORMAT_SECURE)
    except VirError as error:
        return recording.error == (error.code, error.domain, error.message)
    return recording.dump == ours
