# SPDX-License-Identifier: LGPL-2.1-or-later
"""__init__.pyi of libvirt_lxc-stubs: what `import libvirt_lxc` offers, for type checkers."""

from libvirtcore.generated.wrappers_libvirt_lxc import (
    lxcEnterCGroup as lxcEnterCGroup,
)
from libvirtcore.generated.wrappers_libvirt_lxc import (
    lxcOpenNamespace as lxcOpenNamespace,
)
