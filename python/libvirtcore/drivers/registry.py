# SPDX-License-Identifier: LGPL-2.1-or-later
"""registry.py: which drivers there are, and the one that opens a URI.

Called by: libvirtcore.api.connect.
Calls: each driver's connect_open, in order; the remote driver takes what is left.
Never: imports a driver before a connection needs it.
"""

from __future__ import annotations

from libvirtcore.errors import report
from libvirtcore.generated.constants import VIR_ERR_NO_CONNECT, VIR_FROM_NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.drivers.base import Driver
    from libvirtcore.uri import Uri

# URI scheme (None: any) → module and class. Tried from the top.
_DRIVERS: list[tuple[str | None, str, str]] = [
    ("test", "libvirtcore.drivers.test.driver", "TestDriver"),
    ("qemu", "libvirtcore.drivers.qemu.driver", "QemuDriver"),
    (None, "libvirtcore.drivers.remote.driver", "RemoteDriver"),
]


def register_driver(scheme: str | None, module: str, name: str) -> None:
    """Have a driver class tried before all others, for URIs of one scheme or, None, for any."""
    _DRIVERS.insert(0, (scheme, module, name))


def open_driver(uri: Uri | None, auth: Any, flags: int, *, local: bool = False) -> Driver:
    """Open a URI with the first driver that takes it. Raises: VirError.

    With `local`, as the daemon asks, only drivers of a scheme are tried: nobody else is called.
    """
    from importlib import import_module  # here, so that `import libvirt` is spared it

    scheme = uri.scheme.partition("+")[0] if uri is not None else None
    for wanted, module, name in _DRIVERS:
        if (wanted is not None and scheme in (None, wanted)) if local else wanted in (None, scheme):
            cls: type[Driver] = getattr(import_module(module), name)
            driver = cls.connect_open(uri, auth, flags)
            if driver is not None:
                return driver
    raise report(
        VIR_ERR_NO_CONNECT, VIR_FROM_NONE, str(uri) if uri is not None else "the Hypervisor"
    )
