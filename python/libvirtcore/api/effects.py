# SPDX-License-Identifier: LGPL-2.1-or-later
"""effects.py: what a call that succeeded changes in the handle it was made on.

A domain's handle bears its number, which comes and goes with the running guest.
Called by: libvirtcore.api.call.
Never: keeps other state of an object.
"""

from __future__ import annotations

from libvirtcore.handles import DomainHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def stopped(dom: DomainHandle, _value: Any) -> None:
    """The guest is gone, and its number with it."""
    dom.id = -1


def started(dom: DomainHandle, _value: None) -> None:
    """The guest has a new number, which this reply does not tell."""
    dom.id = dom.conn.driver.domain_lookup_by_uuid(dom.uuid).id


def renumbered(dom: DomainHandle, value: DomainHandle) -> None:
    """The reply is the domain with its new number."""
    dom.id = value.id


# Driver method → what it does to its handle.
EFFECTS: dict[str, Callable[[Any, Any], None]] = {
    "domain_create": started,
    "domain_create_with_files": renumbered,
    "domain_create_with_flags": renumbered,
    "domain_destroy": stopped,
    "domain_destroy_flags": stopped,
    "domain_managed_save": stopped,
    "domain_save": stopped,
    "domain_save_flags": stopped,
    "domain_save_params": stopped,
}
