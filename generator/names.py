# SPDX-License-Identifier: LGPL-2.1-or-later
"""names.py: one API, one name; every other spelling follows from the C name.

    virDomainResume                C API, door
    domain_resume                  wire table, driver method
    virDomain.resume               Python method
    REMOTE_PROC_DOMAIN_RESUME      protocol constant
    remote_domain_resume_args      protocol struct

What does not follow is stated in the description: `word` lines glue parts of a C name that the
wire spells as one, `class` lines say what a class drops from its functions' names, `py` clauses
name the remaining exceptions.
Called by: generator.build, generator.check, tests/generator.
Never: holds the name of a single API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class ClassRule:
    """How a Python class names the functions whose first argument is its object.

    `strips` pairs a prefix of C names with what replaces it; the first that fits is applied.
    """

    name: str  # virDomain
    handle: str  # domain
    strips: tuple[tuple[str, str], ...]


def snake(camel: str, words: Mapping[str, str]) -> str:
    """DomainGetXMLDesc → domain_get_xml_desc; `words` are glued before the humps are cut."""
    for spelled, wire in words.items():
        camel = camel.replace(spelled, wire.capitalize())
    return _HUMP.sub("_", camel).lower()


def procedure_of(function: str, drops: tuple[str, ...], words: Mapping[str, str]) -> str:
    """The procedure that carries a C function: virDomainResume → domain_resume.

    `drops` are what a program leaves out of its functions' names (vir; virAdm; vir and Qemu).
    """
    for part in drops:
        function = function.replace(part, "", 1)
    return snake(function, words)


def driver_method(program: str, procedure: str) -> str:
    """The driver's method: the procedure, with the program in front unless it is remote."""
    return procedure if program == "remote" else f"{program}_{procedure}"


def protocol_constant(program: str, procedure: str) -> str:
    return f"{program}_proc_{procedure}".upper()


def protocol_struct(program: str, procedure: str, part: str) -> str:
    """The name other implementations give a message; `part` is args, ret or msg."""
    return f"{program}_{procedure}_{part}"


def struct_name(program: str, procedure: str, part: str) -> str:
    """The name of a procedure's message in the model: that of the driver method and `part`."""
    return f"{driver_method(program, procedure)}_{part}"


def method_of(function: str, rule: ClassRule) -> str:
    """The Python method of a C function: virDomainGetInfo → info, virDomainGetXMLDesc → XMLDesc."""
    for prefix, replacement in rule.strips:
        if function.startswith(prefix) and function != prefix:
            return lower_first(replacement + function.removeprefix(prefix))
    return lower_first(function.removeprefix("vir"))


def lower_first(name: str) -> str:
    """Resume → resume; XMLDesc, UUID and ID keep their capitals."""
    if name[:2].isupper():
        return name
    return name[:1].lower() + name[1:]
