# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_golden.py: one small description per feature of the notation, and what becomes of it.

golden/FEATURE.api gives FEATURE.c and FEATURE.py (tables), FEATURE.dispatch (the daemon's rows) and
FEATURE.txt (what was derived).
`pytest tests/generator --update-golden` rewrites the four; review the diff.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from generator import emit_c, emit_dispatch, emit_dispatch_table, emit_tables
from generator.build import build
from generator.check import check
from generator.model import Model
from generator.parse import parse

GOLDEN = Path(__file__).parent / "golden"
PRELUDE = "prelude.api"
FEATURES = sorted(path.stem for path in GOLDEN.glob("*.api") if path.name != PRELUDE)


def model_of(feature: str) -> Model:
    sources = {name: (GOLDEN / name).read_text() for name in (PRELUDE, f"{feature}.api")}
    model = build([parse(source, name) for name, source in sources.items()])
    assert check(model) == []
    return model


def derived(model: Model, file: str) -> Iterator[str]:
    """What the file's lines imply: procedures with rights, C prototypes, Python methods."""
    for program in model.programs:
        for proc in program.procedures:
            yield f"{program.name} {proc.number} {proc.name} {proc.kind}"
            for right in proc.acl:
                yield f"    needs {right}"
            for right in proc.aclfilter:
                yield f"    each needs {right}"
            if proc.event_id:
                yield f"    id {proc.event_id}"
    for function in model.functions:
        if not function.line.startswith(file):
            continue
        args = ", ".join(f"{arg.ctype} {arg.name}" for arg in function.args)
        yield f"{function.ret} {function.name}({args})"
        yield f"    {function.door} door({', '.join(function.py_args)}) {function.door_reason}"
        yield f"    shape {function.shape or '-'}, writes {function.writes}"
    for method in model.methods:
        if not method.line.startswith(file):
            continue
        params = ", ".join(
            f"{p.name}: {p.annotation}" + (f" = {p.default}" if p.default else "")
            for p in method.params
        )
        name = f"{method.owner}.{method.name}" if method.owner else method.name
        yield f"def {name}({params}) -> {method.returns}"
        yield f"    fails {method.fails_on or 'never'}, wraps {method.wraps or '-'}"
        yield f"    {method.doc}"
    for event in model.events:
        yield f"{event.id_name} = {event.id}: {', '.join(event.args)} from {event.procedures}"
    yield from (f"inputs {group}: {fields}" for group, fields in model.typed_inputs.items())


def outputs(feature: str) -> dict[str, str]:
    model = model_of(feature)
    return {
        f"{feature}.c": emit_c.emit(model)["libvirtcore/generated/tables.c"],
        f"{feature}.py": emit_tables.emit(model)["python/libvirtcore/generated/tables.py"],
        f"{feature}.dispatch": "\n".join(
            [*emit_dispatch.emit(model).values(), *emit_dispatch_table.emit(model).values()]
        ),
        f"{feature}.txt": "\n".join(derived(model, f"{feature}.api")) + "\n",
    }


@pytest.mark.parametrize("feature", FEATURES)
def test_feature_gives_golden_output(feature: str, update_golden: bool) -> None:
    for name, content in outputs(feature).items():
        if update_golden:
            (GOLDEN / name).write_text(content)
        assert (GOLDEN / name).read_text() == content, name


def test_no_golden_output_is_left_over() -> None:
    suffixes = (".c", ".dispatch", ".py", ".txt")
    expected = {f"{feature}{suffix}" for feature in FEATURES for suffix in suffixes}
    found = {path.name for path in GOLDEN.iterdir() if path.suffix in suffixes}
    assert found == expected
