# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtmod.py: the door: the C functions of libvirt, under their C names.

Handles (`_o` of the public classes) in, values or handles out; -1 or None when a call fails, with
the error in virGetLastError. What a row of facts cannot say is in libvirtcore.api. A function is
loaded with its family when it is first asked for, so that `import libvirt` stays quick.
Called by: libvirt.py, libvirtcore.objects, users who reach below the classes.
Never: raises libvirtError; a wrong type raises TypeError, as C modules do.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.api.connect import *
    from libvirtcore.api.cpus import *
    from libvirtcore.api.events import *
    from libvirtcore.api.guests import *
    from libvirtcore.api.host import *
    from libvirtcore.api.images import *
    from libvirtcore.api.library import *
    from libvirtcore.api.lookup import *
    from libvirtcore.api.migrate import *
    from libvirtcore.api.objects import *
    from libvirtcore.api.streams import *
    from libvirtcore.api.tuning import *
    from libvirtcore.generated.door_domain import *
    from libvirtcore.generated.door_domain_checkpoint import *
    from libvirtcore.generated.door_domain_snapshot import *
    from libvirtcore.generated.door_host import *
    from libvirtcore.generated.door_interface import *
    from libvirtcore.generated.door_network import *
    from libvirtcore.generated.door_nodedev import *
    from libvirtcore.generated.door_nwfilter import *
    from libvirtcore.generated.door_secret import *
    from libvirtcore.generated.door_storage import *

# Where functions live; those that nearly every program needs come first.
_HOMES = dict.fromkeys(
    (
        "libvirtcore.api.connect",
        "libvirtcore.api.objects",
        "libvirtcore.api.library",
        "libvirtcore.api.lookup",
        "libvirtcore.generated.door_domain",
        "libvirtcore.generated.door_host",
        "libvirtcore.api.cpus",
        "libvirtcore.api.events",
        "libvirtcore.api.guests",
        "libvirtcore.api.host",
        "libvirtcore.api.images",
        "libvirtcore.api.migrate",
        "libvirtcore.api.streams",
        "libvirtcore.api.tuning",
        "libvirtcore.generated.door_domain_checkpoint",
        "libvirtcore.generated.door_domain_snapshot",
        "libvirtcore.generated.door_interface",
        "libvirtcore.generated.door_network",
        "libvirtcore.generated.door_nodedev",
        "libvirtcore.generated.door_nwfilter",
        "libvirtcore.generated.door_secret",
        "libvirtcore.generated.door_storage",
    )
)


def _load(home: str) -> None:
    """Take over the functions of one home."""
    module = __import__(home, fromlist=["*"])
    for name, value in module.__dict__.items():
        if name.startswith("vir") and callable(value):
            globals().setdefault(name, value)


def __getattr__(name: str) -> Any:
    """A function that nobody has asked for yet."""
    if name.startswith("vir"):
        for home in list(_HOMES):
            if name in globals():
                break
            _load(home)
            _HOMES.pop(home, None)  # only now: other threads must not believe it is loaded
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module 'libvirtmod' has no attribute '{name}'")


def __dir__() -> list[str]:
    for home in list(_HOMES):
        _load(home)
        _HOMES.pop(home, None)
    return sorted(globals())
