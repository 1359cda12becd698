# SPDX-License-Identifier: LGPL-2.1-or-later
"""support.py: the few names that every driver shares.

Called by: generated.driver_base, drivers.
Never: imports a driver.
"""

from __future__ import annotations

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_NO_SUPPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

# Typed parameters given to a driver: name, type (VIR_TYPED_PARAM_…), value.
Params: TypeAlias = "list[tuple[str, int, Any]]"
# Typed parameters a driver returns: triples, or the dict they make.
ParamValues: TypeAlias = "Params | dict[str, Any]"


def no_support(function: str, domain: int) -> VirError:
    """What a driver says of a call it does not offer."""
    return report(VIR_ERR_NO_SUPPORT, domain, function)
