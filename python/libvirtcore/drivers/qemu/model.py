# SPDX-License-Identifier: LGPL-2.1-or-later
"""model.py: making and looking up elements of a definition without naming their classes.

Called by: the modules that complete, check and start a domain. Calls: libvirtcore.conf.
Never: knows a default.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.schema import Element


def make(parent: Element, name: str, **values: Any) -> Any:
    """A new element of the class that `parent` declares for its child `name`."""
    element = type(parent).NAMES[name].element
    assert element is not None
    return element(**values)


def ensure(parent: Element, name: str) -> Any:
    """The child `name`, made when it is missing."""
    found = getattr(parent, name)
    if found is None:
        found = make(parent, name)
        setattr(parent, name, found)
    return found


def default(element: Any, name: str, value: Any) -> None:
    """Set what is not set."""
    if getattr(element, name) is None:
        setattr(element, name, value)


def several(dom: Any, name: str) -> list[Any]:
    """The devices of one kind."""
    found = getattr(dom.devices, name, None)
    return list(found) if isinstance(found, list) else []


def single(dom: Any, name: str) -> Any:
    """The device of a kind of which there is at most one."""
    return getattr(dom.devices, name, None)
