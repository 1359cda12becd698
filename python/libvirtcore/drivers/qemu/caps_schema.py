# SPDX-License-Identifier: LGPL-2.1-or-later
"""caps_schema.py: questions to QEMU's own description of its monitor, by short paths.

A path begins with a command or an event; each step behind a dot goes to a member of its arguments.
`+name` is the variant of a union (its members are looked at together with the common ones),
`=value` must be a value of the enumeration reached, `^name` a feature of the thing reached, and
`@return` turns from a command's arguments to its result. Arrays are looked through.

    netdev_add.+stream.addr      chardev-add.backend.+socket      device_add.^json-cli
Called by: caps_probe. Calls: nothing.
Never: trusts the shape of what QEMU sent; a wrong shape answers every question with no.
"""

from __future__ import annotations

from typing import Any

# What the driver asks about beyond commands, events, devices, objects and options.
FEATURES: dict[str, str] = {
    "blockdev-add.nvme": "blockdev-add.driver=nvme",
    "blockdev-add.nfs": "blockdev-add.driver=nfs",
    "blockdev-add.ssh": "blockdev-add.driver=ssh",
    "blockdev-add.rbd": "blockdev-add.driver=rbd",
    "blockdev-add.iscsi": "blockdev-add.driver=iscsi",
    "blockdev-add.gluster": "blockdev-add.driver=gluster",
    "blockdev-add.io_uring": "blockdev-add.+file.aio=io_uring",
    "blockdev-add.nbd.tls-hostname": "blockdev-add.+nbd.tls-hostname",
    "blockdev-add.file.dynamic-auto-read-only": "blockdev-add.+file.^dynamic-auto-read-only",
    "blockdev-add.file.discard-no-unref": "blockdev-add.+qcow2.discard-no-unref",
    "blockdev-snapshot.write-only-overlay": "blockdev-snapshot.^allow-write-only-overlay",
    "block-commit.backing-mask-protocol": "block-commit.backing-mask-protocol",
    "block-export-add": "block-export-add.+nbd",
    "chardev.qemu-vdagent": "chardev-add.backend.+qemu-vdagent",
    "chardev.spicevmc": "chardev-add.backend.+spicevmc",
    "chardev.spiceport": "chardev-add.backend.+spiceport",
    "chardev.dbus": "chardev-add.backend.+dbus",
    "chardev.socket.reconnect": "chardev-add.backend.+socket.data.reconnect",
    "chardev.logfile": "chardev-add.backend.+file.data.logfile",
    "device.json": "device_add.^json-cli",
    "device.json-hotplug": "device_add.^json-cli-hotplug",
    "display.dbus": "query-display-options.@return.+dbus",
    "display.egl-headless": "query-display-options.@return.+egl-headless",
    "display.gtk": "query-display-options.@return.+gtk",
    "display.sdl": "query-display-options.@return.+sdl",
    "display.egl-headless.rendernode": "query-display-options.@return.+egl-headless.rendernode",
    "human-monitor-command.savevm-nodes": "human-monitor-command.^savevm-monitor-nodes",
    "migrate.multifd": "migrate-set-capabilities.capabilities.capability=multifd",
    "migrate.zero-copy-send": "migrate-set-capabilities.capabilities.capability=zero-copy-send",
    "migrate.block-bitmap-mapping": "migrate-set-parameters.block-bitmap-mapping",
    "migrate.downtime-limit": "migrate-set-parameters.downtime-limit",
    "netdev.stream": "netdev_add.+stream",
    "netdev.stream.reconnect": "netdev_add.+stream.reconnect",
    "netdev.dgram": "netdev_add.+dgram",
    "netdev.user": "netdev_add.+user",
    "netdev.vhost-vdpa": "netdev_add.+vhost-vdpa",
    "netdev.json": "netdev_add.^json-cli",
    "object.qapified": "object-add.+secret",
    "object.iothread.thread-pool-max": "object-add.+iothread.thread-pool-max",
    "object.sev-guest.kernel-hashes": "object-add.+sev-guest.kernel-hashes",
    "query-named-block-nodes.flat": "query-named-block-nodes.flat",
    "query-block.dirty-bitmaps": "query-named-block-nodes.@return.dirty-bitmaps",
    "screendump.device": "screendump.device",
    "screendump.format.png": "screendump.format=png",
    "set-action": "set-action.panic",
    "set-action.exit-failure": "set-action.panic=exit-failure",
    "set_password.display": "set_password.+vnc.display",
    "unplug-guest-error": "DEVICE_UNPLUG_GUEST_ERROR",
}


class Schema:
    """The answer of query-qmp-schema."""

    def __init__(self, entries: Any) -> None:
        self._types: dict[str, dict[str, Any]] = {}
        self.commands: frozenset[str] = frozenset()
        self.events: frozenset[str] = frozenset()
        commands, events = set(), set()
        for entry in entries if isinstance(entries, list) else ():
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            self._types[name] = entry
            if entry.get("meta-type") == "command":
                commands.add(name)
            elif entry.get("meta-type") == "event":
                events.add(name)
        self.commands, self.events = frozenset(commands), frozenset(events)

    def features(self) -> frozenset[str]:
        """The names of FEATURES that this QEMU has."""
        return frozenset(name for name, path in FEATURES.items() if self.has(path))

    def has(self, path: str) -> bool:
        """Whether a path leads somewhere."""
        first, *steps = path.split(".")
        name, equals, _value = first.partition("=")
        entry = self._types.get(name)
        if entry is None or name not in self.commands | self.events or equals:
            return False
        if not steps:
            return True
        if steps[0].startswith("^"):
            return steps[0][1:] in _features(entry)
        key = "arg-type"
        if steps[0] == "@return":
            key, steps = "ret-type", steps[1:]
        return self._walk(entry.get(key), steps)

    def _walk(self, type_name: Any, steps: list[str]) -> bool:
        """Whether the steps lead somewhere from a type."""
        entry = self._type(type_name)
        if entry is None:
            return False
        member: Any = None
        for position, step in enumerate(steps):
            if step.startswith("^"):
                return step[1:] in _features(entry) or step[1:] in _features(member)
            if step.startswith("+"):
                found = self._variant(entry, step[1:])
                member = None
            else:
                name, equals, value = step.partition("=")
                member = _named(entry.get("members"), name)
                found = None if member is None else self._type(member.get("type"))
                if member is not None and equals:
                    return _has_value(found, value)
                if member is not None and position == len(steps) - 1:
                    return True
            if found is None:
                return False
            entry = found
        return True

    def _type(self, name: Any) -> dict[str, Any] | None:
        """A type; of an array, that of its elements."""
        for _depth in range(8):
            entry = self._types.get(name) if isinstance(name, str) else None
            if entry is None or entry.get("meta-type") != "array":
                return entry
            name = entry.get("element-type")
        return None

    def _variant(self, entry: dict[str, Any], case: str) -> dict[str, Any] | None:
        variants = entry.get("variants")
        for variant in variants if isinstance(variants, list) else ():
            if isinstance(variant, dict) and variant.get("case") == case:
                return self._type(variant.get("type"))
        # A variant without members of its own is not listed, but the tag has its name.
        tag = entry.get("tag")
        member = _named(entry.get("members"), tag) if isinstance(tag, str) else None
        if member is not None and _has_value(self._type(member.get("type")), case):
            return {}
        return None


def _named(members: Any, name: str) -> dict[str, Any] | None:
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and member.get("name") == name:
            return member
    return None


def _has_value(entry: dict[str, Any] | None, value: str) -> bool:
    if entry is None:
        return False
    values = entry.get("values")
    if isinstance(values, list):
        return value in values
    return _named(entry.get("members"), value) is not None


def _features(entry: Any) -> tuple[str, ...]:
    found = entry.get("features") if isinstance(entry, dict) else None
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()
