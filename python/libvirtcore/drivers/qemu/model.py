# SPDX-License-Identifier: LGPL-2.1-or-later
"""model.py: making and looking up elements of a definition without naming their classes.

Called by: the modules that complete, check and start a domain. Calls: libvirtcore.conf.
Never: knows a default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from libvirtcore.conf.address import Device
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


def devices(dom: Any) -> Iterator[Any]:
    """Every device of a definition that can have a name and an address."""
    for field in type(dom.devices).FIELDS:
        value = dom.devices.__dict__.get(field.name)
        for device in value if isinstance(value, list) else [value]:
            if isinstance(device, Device):
                yield device


def several(dom: Any, name: str) -> list[Any]:
    """The devices of one kind."""
    found = getattr(dom.devices, name, None)
    return list(found) if isinstance(found, list) else []


def single(dom: Any, name: str) -> Any:
    """The device of a kind of which there is at most one."""
    return getattr(dom.devices, name, None)
