# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_errors.py: wording, the last error of a thread, handlers, and the classes users catch."""

from __future__ import annotations

import io
import pickle
import sys
import threading
from typing import Any

import pytest

from libvirtcore import errors, exceptions
from libvirtcore.error_texts import DOMAINS, TEXTS
from libvirtcore.errors import VirError, invalid_argument, libvirtError, report
from libvirtcore.generated import constants as c

CODES = {
    name: getattr(c, name)
    for name in dir(c)
    if name.startswith(("VIR_ERR_", "VIR_WAR_"))
    and name not in ("VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR", "VIR_ERR_OK")
}


def test_report_puts_the_detail_into_the_template() -> None:
    error = report(c.VIR_ERR_NO_DOMAIN, c.VIR_FROM_QEMU, "no 'vm'")
    assert error.raw == (
        42, 10, "Domain not found: no 'vm'", 2, "Domain not found: %s", "no 'vm'", None, -1, -1,
    )  # fmt: skip


def test_report_without_a_detail_has_its_own_wording() -> None:
    error = report(c.VIR_ERR_INVALID_DOMAIN, c.VIR_FROM_DOM)
    assert error.raw == (
        7, 6, "invalid domain pointer in", 2, "invalid domain pointer in", None, None, -1, -1,
    )  # fmt: skip


def test_report_keeps_percent_signs_of_the_detail() -> None:
    assert report(c.VIR_ERR_INTERNAL_ERROR, 0, "100%s").message == "internal error: 100%s"


def test_invalid_argument_stands_alone_and_names_function_and_argument() -> None:
    error = invalid_argument("virDomainSetMemory", "memory", "memory is odd", c.VIR_FROM_DOMAIN)
    assert error.raw == (
        8, 20, "memory is odd", 2, "virDomainSetMemory", "memory", None, 0, 0,
    )  # fmt: skip


@pytest.mark.parametrize("name", CODES)
def test_every_code_has_words_and_a_class(name: str) -> None:
    bare, detailed = TEXTS[CODES[name]]
    assert bare
    assert detailed.count("%s") == 1
    errors.set_last_error(report(CODES[name], 0))
    assert libvirtError("default").get_error_code() == CODES[name]
    assert type(libvirtError("default")) is not libvirtError
    assert type(libvirtError("default")).code == CODES[name]


def test_every_domain_has_a_name() -> None:
    numbers = {getattr(c, name) for name in dir(c) if name.startswith("VIR_FROM_")}
    assert numbers == set(range(len(DOMAINS)))


# --- the wire -------------------------------------------------------------------------------------


def test_from_wire_takes_the_fields_a_reply_has() -> None:
    fields = (42, 10, "gone", 2, ("vm", b"", 1), "one", "two", None, 3, 4, None)
    assert VirError.from_wire(fields).raw == (42, 10, "gone", 2, "one", "two", None, 3, 4)


def test_from_wire_without_a_message() -> None:
    fields = (1, 7, None, 2, None, None, None, None, 0, 0, None)
    assert VirError.from_wire(fields).message == "Unknown error"


def test_from_wire_reads_unknown_procedure_as_not_supported() -> None:
    """Old daemons sent code RPC in domain REMOTE for a procedure they do not know."""
    fields = (39, 13, "unknown procedure: 999", 2, None, None, None, None, 0, 0, None)
    error = VirError.from_wire(fields)
    assert (error.code, error.message) == (c.VIR_ERR_NO_SUPPORT, "unknown procedure: 999")


def test_to_wire_is_what_from_wire_reads() -> None:
    error = report(c.VIR_ERR_NO_STORAGE_POOL, c.VIR_FROM_STORAGE, "x")
    assert VirError.from_wire(error.to_wire()).raw == error.raw


# --- last error and handlers ----------------------------------------------------------------------


def test_last_error_belongs_to_a_thread() -> None:
    errors.set_last_error(report(1, 0, "mine"))
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(errors.last_error()))
    thread.start()
    thread.join()
    assert seen == [None]
    assert errors.last_error() is not None


def test_handler_gets_context_and_raw_error() -> None:
    got: list[tuple[Any, ...]] = []
    errors.set_error_handler(lambda *args: got.append(args), "context")
    error = report(1, 0, "x")
    errors.dispatch(error)
    assert got == [("context", error.raw)]


def test_handler_that_raises_does_not_hide_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(_context: Any, _raw: Any) -> None:
        raise RuntimeError("in the handler")

    errors.set_error_handler(handler)
    errors.dispatch(report(1, 0, "x"))
    assert "RuntimeError: in the handler" in capsys.readouterr().err
    assert errors.last_error() is not None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (report(42, 12), "libvirt: Test Driver error : Domain not found\n"),
        (report(1, 0, "x"), "libvirt:  error : internal error: x\n"),
        (VirError(1, 7, "hm", c.VIR_ERR_WARNING), "libvirt: XML-RPC warning : hm\n"),
        (VirError(1, 7, "hm", c.VIR_ERR_NONE), "libvirt: XML-RPC  : hm\n"),
        (VirError(1, 7, "ends\n"), "libvirt: XML-RPC error : ends\n"),
        (VirError(1, 999, "hm"), "libvirt: Unknown error : hm\n"),
    ],
)
def test_errors_are_printed_as_libvirt_prints_them(
    error: VirError, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    errors.set_error_handler(None)
    errors.dispatch(error)
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("stream", [None, "closed"])
def test_printing_survives_a_missing_stderr(
    stream: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)
    errors.set_error_handler(None)
    errors.dispatch(report(1, 0, "x"))
    assert errors.last_error() is not None


# --- libvirtError ---------------------------------------------------------------------------------


def test_libvirt_error_is_the_last_error_of_its_thread() -> None:
    errors.set_last_error(VirError(42, 10, "gone", 2, "a", "b", "c", 5, 6))
    error = libvirtError("virDomainLookupByName() failed")
    assert str(error) == "gone"
    assert error.err == (42, 10, "gone", 2, "a", "b", "c", 5, 6)
    assert (error.get_error_code(), error.get_error_domain()) == (42, 10)
    assert (error.get_error_message(), error.get_error_level()) == ("gone", 2)
    assert (error.get_str1(), error.get_str2(), error.get_str3()) == ("a", "b", "c")
    assert (error.get_int1(), error.get_int2()) == (5, 6)


def test_libvirt_error_has_one_class_per_code() -> None:
    errors.set_last_error(report(c.VIR_ERR_NO_DOMAIN, 0, "vm"))
    with pytest.raises(exceptions.NoDomainError) as caught:
        raise libvirtError("failed")
    assert isinstance(caught.value, libvirtError)
    errors.set_last_error(report(c.VIR_ERR_NO_NETWORK, 0, "net"))
    with pytest.raises(libvirtError) as other:
        raise libvirtError("failed")
    assert not isinstance(other.value, exceptions.NoDomainError)


def test_libvirt_error_without_an_error_says_what_it_was_given() -> None:
    error = libvirtError("virFoo() failed")
    assert (type(error), str(error), error.err) == (libvirtError, "virFoo() failed", None)
    assert error.get_error_code() is None
    assert error.get_error_message() is None
    assert error.get_int2() is None


def test_libvirt_error_of_an_unknown_code_is_plain() -> None:
    errors.set_last_error(VirError(4711, 0, "from the future"))
    assert type(libvirtError("x")) is libvirtError


def test_libvirt_error_keeps_its_error_through_pickle() -> None:
    errors.set_last_error(report(c.VIR_ERR_NO_DOMAIN, 10, "vm"))
    error = libvirtError("x")
    errors.reset_last_error()
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.err, str(copy)) == (type(error), error.err, str(error))


def test_recorded_error_holds_no_frames() -> None:
    try:
        raise report(1, 0, "x")
    except VirError as error:
        errors.dispatch(error)
    last = errors.last_error()
    assert last is not None
    assert last.__traceback__ is None
