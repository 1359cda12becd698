# SPDX-License-Identifier: LGPL-2.1-or-later
"""qemu.py: the elements of QEMU's own namespace: arguments, environment, overrides.

Called by: domain.py. Calls: schema.py.
Never: passes anything on to QEMU.
"""

from __future__ import annotations

from libvirtcore.conf.schema import Element, attribute, child, children
from libvirtcore.conf.values import STRING, Choice
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU


class Arg(Element):
    """An argument added to the command line."""

    value = attribute(
        STRING,
        missing=(VIR_ERR_INTERNAL_ERROR, "No qemu command-line argument specified", VIR_FROM_QEMU),
    )


class Env(Element):
    """A variable added to the environment."""

    name = attribute(
        STRING,
        missing=(VIR_ERR_INTERNAL_ERROR, "No qemu environment name specified", VIR_FROM_QEMU),
    )
    value = attribute(STRING)


class Commandline(Element):
    """Arguments and variables added to QEMU."""

    args = children(Arg, "qemu:arg")
    envs = children(Env, "qemu:env")


class CapabilityName(Element):
    """A capability of QEMU, by the driver's name for it."""

    capability = attribute(STRING)


class Capabilities(Element):
    """Capabilities the driver shall believe in, or not."""

    adds = children(CapabilityName, "qemu:add")
    dels = children(CapabilityName, "qemu:del")


class Property(Element):
    """A property of a device, overridden."""

    name = attribute(STRING, required=True)
    type = attribute(Choice("string", "signed", "unsigned", "bool", "remove"), required=True)
    value = attribute(STRING)


class Frontend(Element):
    """The guest's side of a device."""

    propertys = children(Property, "qemu:property")


class OverriddenDevice(Element):
    """A device whose properties are overridden."""

    alias = attribute(STRING, required=True)
    frontend = child(Frontend, "qemu:frontend")


class Override(Element):
    """Properties of devices, overridden."""

    devices = children(OverriddenDevice, "qemu:device")


class Deprecation(Element):
    """What QEMU shall do when deprecated things are used."""

    behavior = attribute(Choice("omit", "reject", "crash"))
