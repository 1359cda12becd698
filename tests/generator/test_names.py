# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_names.py: the one mapping of names, walked over every function of the description."""

from __future__ import annotations

import pytest

from generator.model import Model
from generator.names import (
    ClassRule,
    driver_method,
    lower_first,
    method_of,
    procedure_of,
    protocol_constant,
    protocol_struct,
    struct_name,
)

DROPPED = {"remote": ("vir",), "qemu": ("vir", "Qemu"), "lxc": ("vir", "Lxc"), "admin": ("virAdm",)}


@pytest.mark.parametrize(
    ("function", "procedure"),
    [
        ("virDomainResume", "domain_resume"),
        ("virDomainGetXMLDesc", "domain_get_xml_desc"),
        ("virConnectListAllDomains", "connect_list_all_domains"),
        ("virDomainLookupByUUID", "domain_lookup_by_uuid"),
        ("virDomainAddIOThread", "domain_add_iothread"),
        ("virDomainMigrateToURI3", "domain_migrate_to_uri3"),
    ],
)
def test_c_name_gives_procedure(function: str, procedure: str) -> None:
    assert procedure_of(function, ("vir",), {"IOThread": "iothread"}) == procedure


@pytest.mark.parametrize(
    ("function", "method"),
    [
        ("virDomainGetInfo", "info"),
        ("virDomainGetXMLDesc", "XMLDesc"),
        ("virDomainResume", "resume"),
        ("virDomainGetID", "ID"),
        ("virNodeDeviceReset", "nodeDeviceReset"),
    ],
)
def test_c_name_gives_method(function: str, method: str) -> None:
    rule = ClassRule("virDomain", "domain", (("virDomainGet", ""), ("virDomain", "")))
    assert method_of(function, rule) == method


def test_one_name_in_all_its_spellings() -> None:
    assert driver_method("remote", "domain_resume") == "domain_resume"
    assert driver_method("qemu", "domain_attach") == "qemu_domain_attach"
    assert protocol_constant("remote", "domain_resume") == "REMOTE_PROC_DOMAIN_RESUME"
    assert protocol_struct("remote", "domain_resume", "args") == "remote_domain_resume_args"
    assert struct_name("remote", "domain_resume", "args") == "domain_resume_args"
    assert struct_name("lxc", "domain_open_namespace", "ret") == "lxc_domain_open_namespace_ret"


def test_every_function_finds_its_procedure_by_name_alone(model: Model) -> None:
    """Without case and underscores the two names are the same letters."""
    strangers = []
    for function in model.functions:
        if not function.direct:
            continue
        program, procedure = function.direct.split(":")
        letters = function.name
        for part in DROPPED[program]:
            letters = letters.replace(part, "", 1)
        if letters.lower() != procedure.replace("_", ""):
            strangers.append((function.name, procedure))
    assert strangers == []


def test_every_bound_method_keeps_the_letters_of_its_function(model: Model) -> None:
    """A method's name is an end of its function's name, but for two that libvirt-python turned."""
    strangers = {
        f"{method.owner}.{method.name}": method.function
        for method in model.methods
        if method.function and not method.function.lower().endswith(method.name.lower())
    }
    assert strangers == {
        "virConnect.listAllDevices": "virConnectListAllNodeDevices",
        "virConnect.newStream": "virStreamNew",
    }


def test_driver_methods_are_unique(model: Model) -> None:
    names = [
        driver_method(program.name, proc.name)
        for program in model.programs
        for proc in program.procedures
    ]
    assert len(names) == len(set(names))


def test_lower_first_keeps_abbreviations() -> None:
    assert [lower_first(name) for name in ("Info", "ID", "XMLDesc", "")] == [
        "info",
        "ID",
        "XMLDesc",
        "",
    ]
