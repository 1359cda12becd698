# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_wrappers.py: the methods of the public classes: call the door, raise, wrap.

Called by: generator.__main__.
Never: emits a method that the description says is written by hand.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable

from generator.model import Function, Method, Model, Param

FOLDER = "python/libvirtcore/generated/"

# Face → the module of the door.
DOORS = {
    "libvirt": "libvirtmod",
    "libvirt_qemu": "libvirtmod_qemu",
    "libvirt_lxc": "libvirtmod_lxc",
}

CLASS_FILE = '''\
"""{file}: the methods of {owner} that are one call each."""

from __future__ import annotations

{imports}
# mypy: disable-error-code="no-any-return, arg-type"


class {owner}:
    """Inherited by libvirtcore.objects.{owner}, which adds what is more than one call."""

    if TYPE_CHECKING:
{attributes}
{methods}
'''

FUNCTION_FILE = '''\
"""{file}: the functions of the module {face} that are one call each."""

from __future__ import annotations

{imports}
# mypy: disable-error-code="no-any-return, arg-type"
{methods}
'''

_CLASS = re.compile(r"\bvir[A-Z]\w*")
_ALIAS = re.compile(r"\b_[A-Z]\w*")


class _Emitter:
    def __init__(self, model: Model) -> None:
        self.functions = {function.name: function for function in model.functions}
        self.methods = model.methods
        # class → the class its constructor takes first
        self.takes = {
            method.owner: method.params[0].annotation
            for method in model.methods
            if method.name == "__init__" and method.params and method.owner.startswith("vir")
        }

    def is_one_call(self, method: Method) -> bool:
        """Whether the body follows from the model."""
        if method.hand or not method.function:
            return False
        shown = " ".join([method.returns, *(param.annotation for param in method.params)])
        if "Callable" in shown or "CB" in shown or "IO[" in shown:
            return False
        return bool(method.wraps) or not _CLASS.search(method.returns)

    def text(self, method: Method) -> str:
        params = [_parameter(param) for param in method.params]
        returns = method.returns
        if method.owner:
            # Methods are called after the class they stand in, so the mixin has the public name.
            own = re.compile(rf"\b{method.owner}\b")
            params = ["self", *(own.sub(f"objects.{method.owner}", param) for param in params)]
            returns = own.sub(f"objects.{method.owner}", returns)
        door = f"{DOORS[method.face]}.{method.function}"
        lines = [
            f"def {method.name}({', '.join(params)}) -> {returns}:",
            *(f"    {line}" for line in _docstring(method.doc)),
            f"    ret = {door}({', '.join(self.arguments(method))})",
        ]
        if method.fails_on:
            lines.append(f"    if ret {method.fails_on}:")
            lines.append(f'        raise libvirtError("{method.message}")')
        lines.append(f"    return {self.result(method)}")
        indent = "    " if method.owner else ""
        return "\n".join(indent + line for line in lines)

    def arguments(self, method: Method) -> list[str]:
        function: Function = self.functions[method.function]
        named = {param.name: param for param in method.params}
        values = []
        for index, name in enumerate(function.py_args):
            if method.owner and index == 0:
                values.append("self._o")
            elif _CLASS.match(named[name].annotation):
                # As libvirt-python does: methods take None, functions do not.
                values.append(f"{f'None if {name} is None else ' * bool(method.owner)}{name}._o")
            else:
                values.append(name)
        return values

    def result(self, method: Method) -> str:
        """The expression that wraps handles in objects of the public classes."""
        if not method.wraps:
            return "ret"
        parent = self.parent(method)
        if method.wraps_list:
            return f"[objects.{method.wraps}({parent}, _obj=one) for one in ret]"
        return f"objects.{method.wraps}({parent}, _obj=ret)"

    def parent(self, method: Method) -> str:
        """What a new object belongs to: an argument, the object itself, or what that belongs to."""
        wanted = self.takes[method.wraps]
        for param in method.params:
            if param.annotation == wanted:
                return param.name
        if method.owner == wanted:
            return "self"
        if wanted == "virConnect":
            return "self._conn"
        return f"self._{wanted.removeprefix('vir').lower()[:3]}"


def _parameter(param: Param) -> str:
    default = "" if param.default is None else f" = {param.default}"
    return f"{param.name}: {param.annotation}{default}"


def _docstring(text: str) -> list[str]:
    if len(text) <= 85:
        return [f'"""{text}"""']
    lines = textwrap.wrap(text, 88)
    return [f'"""{lines[0]}', *lines[1:], '"""']


def emit(model: Model) -> dict[str, str]:
    emitter = _Emitter(model)
    classes: dict[str, list[Method]] = defaultdict(list)
    faces: dict[str, list[Method]] = defaultdict(list)
    for method in model.methods:
        if emitter.is_one_call(method):
            (classes[method.owner] if method.owner else faces[method.face]).append(method)
    files = {}
    for owner, methods in classes.items():
        title = owner.removeprefix("vir")
        file = f"wrappers_{snake(title)}.py"
        text = "\n\n".join(emitter.text(method) for method in methods)
        attributes = ["_o: Any"]
        if owner != "virConnect":
            attributes.insert(0, "_conn: virConnect")
        for extra in sorted(set(re.findall(r"self\.(_dom|_net)\b", text))):
            attributes.append(f"{extra}: {'virDomain' if extra == '_dom' else 'virNetwork'}")
        files[FOLDER + file] = CLASS_FILE.format(
            file=file,
            owner=owner,
            imports=_imports("\n".join([text, *attributes]), ["libvirtmod"], emitter.takes),
            attributes="\n".join(f"        {line}" for line in attributes),
            methods="\n" + text,
        )
    for face, methods in faces.items():
        file = f"wrappers_{face}.py"
        text = "\n\n\n".join(emitter.text(method) for method in methods)
        files[FOLDER + file] = FUNCTION_FILE.format(
            file=file,
            face=face,
            imports=_imports(text, [DOORS[face]], emitter.takes),
            methods="\n\n" + text,
        )
    return files


def snake(title: str) -> str:
    """StoragePool → storage_pool; NWFilter stays one word."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", title).lower()


def _imports(text: str, doors: Iterable[str], classes: Iterable[str]) -> str:
    lines = [f"import {door}" for door in doors]
    if "objects." in text:
        lines.append("import libvirtcore.objects as objects")
    lines.append("from libvirtcore.errors import libvirtError")
    code = re.sub(r'""".*?"""', "", text, flags=re.S)
    code = re.sub(r'"[^"]*"|\w+\.vir\w+', "", code)
    aliases = sorted(set(_ALIAS.findall(code)))
    names = sorted(set(_CLASS.findall(code)) & set(classes))
    lines += ["", "TYPE_CHECKING = False", "if TYPE_CHECKING:", "    from typing import Any"]
    if aliases or names:
        lines.append("")
    if aliases:
        lines.append(f"    from libvirtcore.annotations import {', '.join(aliases)}")
    if names:
        line = f"    from libvirtcore.objects import {', '.join(names)}"
        if len(line) > 100:
            items = "".join(f"        {name},\n" for name in names)
            line = f"    from libvirtcore.objects import (\n{items}    )"
        lines.append(line)
    return "\n".join(lines) + "\n"
