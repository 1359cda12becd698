# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtcore: what stands behind `import libvirt`, and what it offers beyond it.

    with libvirtcore.timeout(2.5):
        dom.info()

Called by: users, the faces. Never: imports anything before it is asked for, so that
`import libvirt` stays quick.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libvirtcore.deadline import timeout
    from libvirtcore.errors import VirError, libvirtError

__version__ = "0.1.0"

__all__ = ["VirError", "__version__", "libvirtError", "timeout"]

_HOMES = {
    "VirError": "libvirtcore.errors",
    "libvirtError": "libvirtcore.errors",
    "timeout": "libvirtcore.deadline",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'libvirtcore' has no attribute '{name}'")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
