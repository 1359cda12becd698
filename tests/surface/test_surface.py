# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_surface.py: every class, method, argument, default, function and constant of 12.8.0.

expected.json lists them: signatures as text, constants by value, and `names`, what else the modules
offer. Ours may offer more; it may lack nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

EXPECTED = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
MODULES: dict[str, Any] = EXPECTED["modules"]


def signature(function: Any) -> str:
    """Names, kinds and defaults of the arguments, as expected.json writes them."""
    parts = []
    star = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts.append(f"*{parameter.name}")
            star = True
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts.append(f"**{parameter.name}")
        else:
            if parameter.kind is parameter.KEYWORD_ONLY and not star:
                parts.append("*")
                star = True
            assert parameter.kind is not parameter.POSITIONAL_ONLY
            default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
            parts.append(parameter.name + default)
    text = f"({', '.join(parts)})"
    return f"async {text}" if asyncio.iscoroutinefunction(function) else text


CLASSES = [
    pytest.param(module, name, expected, id=f"{module}.{name}")
    for module, content in MODULES.items()
    for name, expected in content["classes"].items()
]


@pytest.mark.parametrize(("module", "name", "expected"), CLASSES)
def test_class_has_its_methods_with_their_signatures(
    module: str, name: str, expected: dict[str, Any]
) -> None:
    cls = getattr(importlib.import_module(module), name)
    found = {
        method: signature(getattr(cls, method)) if hasattr(cls, method) else "missing"
        for method in expected["methods"]
    }
    assert found == expected["methods"]


@pytest.mark.parametrize(("module", "name", "expected"), CLASSES)
def test_class_has_its_bases_and_attributes(
    module: str, name: str, expected: dict[str, Any]
) -> None:
    home = importlib.import_module(module)
    cls = getattr(home, name)
    builtins = {"object": object, "Exception": Exception, "dict": dict}
    for base in expected["bases"]:
        assert issubclass(cls, builtins.get(base) or getattr(home, base))
    assert cls.__name__ == name
    assert cls.__module__ == module
    for attribute in expected["class_attributes"]:
        assert hasattr(cls, attribute)


@pytest.mark.parametrize("module", MODULES)
def test_module_has_its_functions_with_their_signatures(module: str) -> None:
    home = importlib.import_module(module)
    expected = MODULES[module]["functions"]
    found = {
        name: signature(getattr(home, name)) if hasattr(home, name) else "missing"
        for name in expected
    }
    assert found == expected


@pytest.mark.parametrize("module", MODULES)
def test_module_has_its_constants(module: str) -> None:
    home = importlib.import_module(module)
    wrong = {}
    for name, value in MODULES[module]["constants"].items():
        found = getattr(home, name, "missing")
        if found != value or type(found) is not type(value):
            wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize("module", MODULES)
def test_module_has_its_other_names(module: str) -> None:
    home = importlib.import_module(module)
    assert [name for name in MODULES[module]["names"] if not hasattr(home, name)] == []


def test_the_expectation_is_whole() -> None:
    libvirt = MODULES["libvirt"]
    assert len(libvirt["classes"]) == 15
    assert sum(len(cls["methods"]) for cls in libvirt["classes"].values()) == 549
    assert len(libvirt["functions"]) == 25
    assert len(libvirt["constants"]) == 1484
    assert len(MODULES["libvirt_qemu"]["functions"]) == 7
    assert len(MODULES["libvirt_lxc"]["functions"]) == 2
    assert sum(len(c["methods"]) for c in MODULES["libvirtaio"]["classes"].values()) == 33
