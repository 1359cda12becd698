# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_tables.py: every procedure has its function in each table, and the default is no."""

from __future__ import annotations

from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.generated.dispatch_table import BY_HAND, CALLS, EVENTS, FACTS, TRIPLES
from libvirtcore.generated.tables import PROGRAMS
from libvirtd.dispatch import NOT_OPEN, OPEN, READ_ONLY
from tests.libvirtd_dispatch.plausible import REMOTE, calls

BEFORE_OPEN = {1, 2, 60, 66, 67, 68, 69, 70}
# Of all calls, those that a read-only client may make, as the description says.
ALLOWED = [(p, n) for p, n, _ in calls() if (facts := FACTS[p][n]) and facts[3]]


def refused(function: Any) -> bool:
    """Whether a function refuses whatever it is asked, as a read-only one does."""
    try:
        function(None, None, None)
    except VirError as error:
        return error.code == c.VIR_ERR_OPERATION_DENIED
    except Exception:
        return False
    return False


def test_each_call_has_one_function() -> None:
    for program, number, name in calls():
        generated = CALLS[program][number]
        by_hand = BY_HAND[program].get(number)
        assert (generated is None) == (by_hand is not None), name
        for table in (NOT_OPEN, OPEN, READ_ONLY):
            assert callable(table[program][number])


def test_tables_are_as_long_as_the_programs() -> None:
    for table in (NOT_OPEN, OPEN, READ_ONLY):
        for program in table:
            assert len(table[program]) == len(PROGRAMS[program].procedures)


def test_read_only_clients_are_refused_what_nothing_allows() -> None:
    for program, number, name in calls():
        allowed = (program, number) in ALLOWED or (program, number) == (REMOTE, 2)
        assert refused(READ_ONLY[program][number]) != allowed, name


def test_what_is_allowed_is_not_more_than_a_list() -> None:
    """A change of this number is a change of what read-only clients may do."""
    assert len(ALLOWED) == 196


@pytest.mark.parametrize("name", ["resume", "set_memory", "define_xml", "migrate_begin3"])
def test_writes_are_refused_by_name(name: str) -> None:
    numbers = {called: number for program, number, called in calls() if program == REMOTE}
    assert refused(READ_ONLY[REMOTE][numbers[f"domain_{name}"]])


def test_guarded_calls_are_refused_by_flag() -> None:
    get_xml = READ_ONLY[REMOTE][14]
    with pytest.raises(VirError) as caught:
        get_xml(None, (None, c.VIR_DOMAIN_XML_SECURE), None)
    assert caught.value.message == "operation forbidden: virDomainGetXMLDesc with secure flag"


def test_before_a_connection_nearly_nothing_works() -> None:
    for program, number, name in calls():
        if program == REMOTE and number in BEFORE_OPEN:
            continue
        with pytest.raises(VirError, match="connection not open"):
            NOT_OPEN[program][number](None, None, None)
        assert name


def test_events_of_every_family_have_a_message() -> None:
    events = PROGRAMS[REMOTE].procedures
    for (family, _number), (old, new, layout) in EVENTS.items():
        assert layout in ("wrapped", "reason", "flat"), family
        row = events[new]
        assert row is not None
        assert row.kind == 2
        if old:
            assert family == "domain"


def test_typed_parameters_come_as_triples() -> None:
    assert (REMOTE, 197) in TRIPLES  # domain_set_memory_parameters
    assert (REMOTE, 198) not in TRIPLES  # returns them
