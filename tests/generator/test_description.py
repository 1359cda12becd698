# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_description.py: the description is complete, and what was generated from it is fresh."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from generator.__main__ import ROOT, emit_all, main, stale
from generator.description import FOLDER, load
from generator.model import Model
from generator.stamp import stamped


def test_every_procedure_is_described(model: Model) -> None:
    counts = {program.name: len(program.procedures) for program in model.programs}
    assert counts == {"remote": 456, "qemu": 7, "lxc": 1, "admin": 20, "keepalive": 2}


def test_kinds_of_remote_procedures(model: Model) -> None:
    remote = model.programs[0].procedures
    assert Counter(p.kind for p in remote) == {"call": 393, "event": 55, "stream": 8}
    assert sum(p.high_priority for p in remote) == 187
    assert [p.name for p in remote if not p.needs_auth] == [
        "auth_list",
        "auth_sasl_init",
        "auth_sasl_start",
        "auth_sasl_step",
        "auth_polkit",
    ]


def test_every_function_is_described(model: Model) -> None:
    libraries = Counter(function.library for function in model.functions)
    assert libraries == {"libvirt": 525, "libvirt-qemu": 6, "libvirt-lxc": 4, "libvirt-admin": 33}
    assert sum(bool(function.direct) for function in model.functions) == 402
    assert sum(function.door != "none" for function in model.functions) == 490


def test_every_constant_is_described(model: Model) -> None:
    visible = Counter(c.library for c in model.constants if not c.sentinel)
    assert visible["libvirt"] == 1484
    assert visible["libvirt-qemu"] == 9


def test_every_remote_call_states_a_right(model: Model) -> None:
    """Only what stands before or after a session, or asks about it, needs none."""
    free = [p.name for p in model.programs[0].procedures if p.kind != "event" and not p.acl]
    auth = [p.name for p in model.programs[0].procedures if not p.needs_auth]
    assert set(free) == {"connect_close", *auth}


def test_docs_are_sentences_of_our_own(model: Model) -> None:
    docs = [(f.name, f.doc) for f in model.functions] + [
        (p.name, p.doc) for program in model.programs for p in program.procedures
    ]
    for name, doc in docs:
        assert doc.endswith("."), f"{name}: {doc}"
        assert doc[0].isupper() or doc[0] == "`", f"{name}: {doc}"
        assert name not in doc, f"{name}: the doc repeats the name"


def test_domain_resume_from_line_to_method(model: Model) -> None:
    """The tour's call, end to end."""
    proc = model.programs[0].procedures[27]
    assert (proc.number, proc.name, proc.kind) == (28, "domain_resume", "call")
    assert [(r.object, r.permission, r.refuses) for r in proc.acl] == [("domain", "suspend", True)]
    function = next(f for f in model.functions if f.name == "virDomainResume")
    assert (function.direct, function.door, function.writes) == (
        "remote:domain_resume",
        "auto",
        True,
    )
    method = next(m for m in model.methods if m.function == "virDomainResume")
    assert (method.owner, method.name, method.params) == ("virDomain", "resume", ())
    assert (method.returns, method.fails_on) == ("int", "== -1")
    assert method.message == "virDomainResume() failed"


def test_events_match_their_ids(model: Model) -> None:
    assert len(model.events) == 38
    carried = [name for event in model.events for name in event.procedures]
    assert len(carried) == len(set(carried)) == 54


# --- staleness ------------------------------------------------------------------------------------


def test_generated_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_generation_depends_on_the_description_alone(model: Model) -> None:
    assert emit_all(model) == emit_all(model)


def test_stale_missing_and_left_over_files_are_found(model: Model, tmp_path: Path) -> None:
    files = {path: text for path, text in emit_all(model).items() if "/tables" in path}
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    assert stale(files, tmp_path) == []
    tables_h = tmp_path / "libvirtcore/generated/tables.h"
    tables_h.write_text(tables_h.read_text().replace("uint32_t", "uint64_t"))
    (tmp_path / "libvirtcore/generated/tables.c").unlink()
    (tmp_path / "python/libvirtcore/generated/left_over.py").write_text("")
    assert stale(files, tmp_path) == [
        "libvirtcore/generated/tables.c: missing",
        "libvirtcore/generated/tables.h: stale",
        "python/libvirtcore/generated/left_over.py: no emitter writes it",
    ]


def test_wrong_description_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.api").write_text("1 virDomainX(\n")
    monkeypatch.setattr("generator.__main__.load", lambda: load(tmp_path))
    monkeypatch.setattr("generator.__main__.ROOT", tmp_path)
    assert main([]) == 1
    assert "x.api:2:1: expected a field's name" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.api"]


def test_stamp_names_tool_source_hash_and_command() -> None:
    text = stamped("a.h", "emit_c", "0123456789abcdef0123", "body\n")
    assert text.splitlines() == [
        "/* SPDX-License-Identifier: LGPL-2.1-or-later */",
        "/* Generated by generator/emit_c.py from generator/api (sha256 0123456789abcdef). */",
        "/* Do not edit; change the description and run `python -m generator`. */",
        "body",
    ]
    assert stamped("a.py", "emit_tables", "0", "").startswith("# SPDX-License-Identifier")


def test_one_line_adds_a_call_everywhere(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.api"):
        shutil.copy(path, tmp_path / path.name)
    with (tmp_path / "domain.api").open("a") as file:
        file.write("\n# Ring the guest's bell this many times.\n")
        file.write("457 virDomainRingBell(dom: domain, times: u32, flags: u32)  !write  @13.0.0\n")
    files = emit_all(load(tmp_path))
    assert '"domain_ring_bell"' in files["libvirtcore/generated/tables.c"]
    python = "".join(text for path, text in files.items() if path.endswith(".py"))
    assert 'Procedure("domain_ring_bell"' in python
    assert "def domain_ring_bell(self, dom" in python
    assert "def virDomainRingBell(" in python
    assert "def ringBell(self, times: int, flags: int = 0) -> int:" in python
    assert "Ring the guest's bell this many times." in python
