# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_driver.py: the base class of all drivers, one method per procedure.

Called by: generator.__main__.
Never: emits behaviour; every method says that the driver does not support it.
"""

from __future__ import annotations

from generator.families import c_name, error_domain, family_domain, method_name, procedures
from generator.model import Function, Model, Procedure
from generator.pytypes import HANDLES, PyTypes

PATH = "python/libvirtcore/generated/driver_base.py"

FILE = '''\
"""driver_base.py: every procedure of the protocol as a driver method that refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libvirtcore.drivers.support import no_support
from libvirtcore.generated.constants import (
{domains}
)

if TYPE_CHECKING:
    from libvirtcore.drivers.support import Params, ParamValues
    from libvirtcore.handles import (
{handles}
    )



class DriverBase:
    """What a driver can do. Arguments and results are described in libvirtcore.drivers.base."""

    __slots__ = ()
{methods}
'''

METHOD = '''
    def {name}({params}) -> {result}:
        """{doc}"""
        raise no_support("{function}", {domain})\
'''


def parameters(procedure: Procedure, types: PyTypes) -> list[tuple[str, str]]:
    """Name and annotation of each argument of a driver method."""
    fields = procedure.args.fields if procedure.args else ()
    params = [(field.name, types.annotation(field.type, True)) for field in fields]
    if procedure.stream:
        params.append(("stream", "StreamHandle"))
    if procedure.fds in ("call", "both"):
        params.append(("fds", "list[int]"))
    return params


def signature(procedure: Procedure, types: PyTypes) -> str:
    return ", ".join(["self", *(f"{name}: {note}" for name, note in parameters(procedure, types))])


def result(procedure: Procedure, types: PyTypes) -> str:
    return types.result(procedure.ret, procedure.fds in ("reply", "both"))


def carried(model: Model) -> dict[str, Function]:
    """Procedure → the public function it carries."""
    return {function.direct: function for function in model.functions if function.direct}


def emit(model: Model) -> dict[str, str]:
    types = PyTypes(model)
    functions = carried(model)
    domains: set[str] = set()
    methods = []
    for procedure in procedures(model):
        name = method_name(procedure)
        function = functions.get(f"{procedure.program}:{procedure.name}")
        domain = error_domain(function) if function else family_domain(name)
        domains.add(domain)
        methods.append(
            METHOD.format(
                name=name,
                params=signature(procedure, types),
                result=result(procedure, types),
                doc=procedure.doc or f"Carry out {name}.",
                function=function.name if function else c_name(name),
                domain=domain,
            )
        )
    body = FILE.format(
        domains="\n".join(f"    {domain}," for domain in sorted(domains)),
        handles="\n".join(
            f"        {name}," for name in sorted({*HANDLES.values(), "StreamHandle"})
        ),
        methods="\n".join(methods),
    )
    return {PATH: body}
