# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_errors.py: one exception class per error code.

Called by: generator.__main__.
Never: emits behaviour; that is libvirtcore.errors.libvirtError's.
"""

from __future__ import annotations

from generator.model import Constant, Model

PATH = "python/libvirtcore/generated/exceptions.py"
ENUM = "virErrorNumber"
# Names that Python has, or that another code's name leads to.
SPECIAL = {
    "VIR_ERR_SYSTEM_ERROR": "SystemCallError",
    "VIR_WAR_NO_INTERFACE": "NoInterfaceDriverError",
    "VIR_WAR_NO_NETWORK": "NoNetworkDriverError",
    "VIR_WAR_NO_NODE": "NoNodeDriverError",
    "VIR_WAR_NO_NWFILTER": "NoNWFilterDriverError",
    "VIR_WAR_NO_SECRET": "NoSecretDriverError",
    "VIR_WAR_NO_STORAGE": "NoStorageDriverError",
}

FILE = '''\
"""exceptions.py: one exception class per error code, each still a libvirtError."""

from __future__ import annotations

from libvirtcore.errors import libvirtError
from libvirtcore.generated import constants as c

__all__ = [
{names}
]
{classes}
'''

CLASS = '''

class {name}(libvirtError):
    """Error {number}, {constant}."""

    code = c.{constant}
'''


def class_name(constant: str) -> str:
    """VIR_ERR_NO_DOMAIN → NoDomainError."""
    if constant in SPECIAL:
        return SPECIAL[constant]
    words = constant.split("_")[2:]
    if words[-1] == "ERROR":
        words.pop()
    title = "".join(word.capitalize() for word in words).replace("Nwfilter", "NWFilter")
    return f"{title}Error"


def emit(model: Model) -> dict[str, str]:
    codes: list[Constant] = [
        constant
        for constant in model.constants
        if constant.enum == ENUM and not constant.sentinel and constant.value
    ]
    codes.sort(key=lambda constant: int(constant.value))
    classes = [
        CLASS.format(name=class_name(constant.name), number=constant.value, constant=constant.name)
        for constant in codes
    ]
    names = sorted(class_name(constant.name) for constant in codes)
    if len(set(names)) != len(names):
        raise ValueError("two error codes have one class name")
    return {
        PATH: FILE.format(
            names="\n".join(f'    "{name}",' for name in names),
            classes="".join(classes).rstrip("\n"),
        )
    }
