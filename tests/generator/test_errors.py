# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_errors.py: each fault of a description is reported with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.build import build
from generator.check import check
from generator.description import DescriptionErrors, load
from generator.lex import DescriptionError
from generator.parse import parse

PRELUDE = (Path(__file__).parent / "golden" / "prelude.api").read_text()
HEAD = "library libvirt\nface libvirt\nmodule libvirt-domain\ncalls remote\n"

# What stands below HEAD in x.api (so its first line is line 5), and the fault.
SPELLING = [
    ("1 virDomainX(dom: domain", "5:25: expected ')', found the end of the file"),
    ("1 virDomainX(dom domain)", "5:18: expected ':', found 'domain'"),
    ("1 virDomainX(dom: )", "5:19: expected a type, found ')'"),
    ("1 virDomainX -> ", "5:17: expected '(', found the end of the file"),
    ("1 virDomainX  !", "5:16: expected a permission, found the end of the file"),
    ("1 virDomainX  quickly", "5:15: unknown mark 'quickly'"),
    ("1 virDomainX  stream sideways", "5:22: expected read or write, found 'sideways'"),
    ("1 virDomainX  high  high", "5:21: 'high' is stated twice"),
    ("1 virDomainX\n    door", "6:9: expected a reason, found the end of the file"),
    ("1 virDomainX\n  high", "6:3: indent by 4 for a clause, by 8 to go on"),
    (
        "1 virDomainX\n    1",
        "6:5: expected a clause (c, py, door, dispatch, unbound, via) or a mark, found '1'",
    ),
    ("1 virDomainX $", "5:14: unexpected character '$'"),
    ('1 virDomainX\n    door "why', "6:10: text is not closed on its line"),
    ("local virDomainX(int a)", "5:17: expected a C function, found '('"),
    ("local int virDomainX(int)", "5:25: expected an argument, found ')'"),
    ("enum virX\n    VIR_X == 1", "6:11: expected '=', found '=='"),
    ("enum virX\n    VIR_X = y", "6:13: expected a number or a text, found 'y'"),
    ("callback domain VIR_X(conn)", "5:28: expected by METHOD, found the end of the file"),
    (
        "1 virDomainX\n    py fails often",
        "6:14: expected never, == NUMBER or is None, found 'often'",
    ),
]

TEXTS = 'texts\n    VIR_Y = "y"\n'

UNKNOWN = [
    ("1 virDomainX(a: u32<>)", "5:17: u32<> has no bound; every array needs one"),
    ("1 virDomainX(a: opaque)", "5:17: opaque needs a bound, as in opaque<NAME_MAX>"),
    ("1 virDomainX(a: u32[4])", "5:17: u32[…]: only opaque and chars can be fixed"),
    ("1 virDomainX(a: u32<SOME_MAX>)", "5:17: no limit is named SOME_MAX"),
    ("1 virDomainX(a: u32 = SOME_MAX)", "5:17: no limit is named SOME_MAX"),
    ("1 virDomainX(dom: domain)  shape y", "5:1: no shape is named y"),
    ("shape y -> int", "5:1: shape y is not used"),
    ('word IOThing = iothing "why"', "5:1: word IOThing is not used"),
    ("type uuid = opaque[16]", "5:1: type uuid is not used"),
    ("limit A = 1\nlimit A = 2", "6:1: A is stated twice"),
    ("struct domain(name: string)", "5:1: domain is stated twice"),
    ("1 event domain_x  high", "5:19: 'high' means nothing for domain_x"),
    ("1 domain_x  shape y", "5:13: 'shape' means nothing for domain_x"),
    ("local int virDomainX(virDomainPtr d)  high", "5:39: 'high' means nothing for virDomainX"),
    ("local int virX(int a)", "5:1: virX needs a 'py' clause with a name"),
    (
        "1 virDomainX(dom: domain) -> (a: u32<4>)",
        "5:1: virDomainX needs a 'c' clause: its prototype does not follow",
    ),
    ("inputs Y\n    VIR_Y: INT", "6:5: no constant is named VIR_Y"),
    (TEXTS + "inputs Y\n    VIR_Y: INTEGER", "8:5: INTEGER is no typed parameter's type"),
    (TEXTS + "inputs Y\n    VIR_Y: INT", "7:1: inputs Y is not used"),
]

D = "# Doc.\n"
JUDGED = [
    (D + "2 domain_x", "6:1: remote has no procedure 1"),
    (D + "1 domain_x\n" + D + "1 domain_y", "8:1: remote 1 is taken twice"),
    (D + "1 domain_x\n" + D + "2 domain_x", "8:1: remote domain_x is stated twice"),
    ("1 domain_x", "5:1: domain_x: a comment must say what it does"),
    (D + "1 domain_x(a: thing)", "6:1: domain_x_args.a: no type is named thing"),
    (D + "1 domain_x(a: u32<0>)", "6:1: domain_x_args.a: the bound must be above 0"),
    (D + "1 domain_x(a: u32, a: u32)", ": domain_x_args.a is stated twice"),
    ("struct a(b: u32)", "5:1: struct a is not used"),
    (D + "1 domain_x(a: a)\nstruct a(a: a?)", "7:1: a holds itself"),
    ("codes a(B = 1)", "5:1: codes a are not used"),
    (
        D + "1 domain_x(flags: u32)  !write[VIR_Z]",
        "6:1: domain_x: no constant is named VIR_Z",
    ),
    (
        D + "1 domain_x  !write[VIR_Y]\nenum virY\n    VIR_Y = 1",
        "6:1: domain_x: right write tests flags, which the call does not send",
    ),
    (
        D + "local int virDomainX(virDomainPtr d)\n    via domain_y",
        "6:1: virDomainX: no procedure is named remote:domain_y",
    ),
    (D + "1 event domain_x  id VIR_Z", "6:1: no constant is named VIR_Z"),
    (D + "1 event domain_x -> (a: u32)", "6:1: event domain_x returns something"),
    (D + "method virDomain.x()", "6:1: virDomain.x: 'hand' and a reason are missing"),
    (D + "1 virDomainX(dom: domain)  inputs Y", "6:1: no inputs are named Y"),
    (
        "enum virY\n    VIR_Y_LAST = 1 sentinel\n    VIR_Y = 2",
        "7:5: VIR_Y stands after the sentinel VIR_Y_LAST",
    ),
]


@pytest.mark.parametrize(("source", "fault"), SPELLING)
def test_misspelling_names_its_place(source: str, fault: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse(HEAD + source, "x.api")
    assert str(caught.value) == f"x.api:{fault}"


@pytest.mark.parametrize(("source", "fault"), UNKNOWN)
def test_unknown_or_unused_name_names_its_place(source: str, fault: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        build([parse(PRELUDE, "prelude.api"), parse(HEAD + source, "x.api")])
    assert str(caught.value) == f"x.api:{fault}"


@pytest.mark.parametrize(("source", "fault"), JUDGED)
def test_wrong_description_is_judged(source: str, fault: str) -> None:
    model = build([parse(PRELUDE, "prelude.api"), parse(HEAD + source, "x.api")])
    faults = [found.removeprefix("x.api:") for found in check(model)]
    assert fault in faults


def test_call_outside_a_program_is_refused() -> None:
    with pytest.raises(DescriptionError, match=r"x.api:1:1: no 'calls PROGRAM' line above"):
        build([parse("1 domain_x", "x.api")])


def test_all_misspelled_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.api").write_text("1 virDomainX(\n")
    (tmp_path / "b.api").write_text("unheard\n")
    with pytest.raises(DescriptionErrors) as caught:
        load(tmp_path)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["a.api", "b.api"]
