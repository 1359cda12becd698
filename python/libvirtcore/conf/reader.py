# SPDX-License-Identifier: LGPL-2.1-or-later
"""reader.py: a tree of nodes → typed elements, by the fields their classes state.

Attributes and children that no field names are passed over, the first of several singletons
wins, and what is wrong is said in libvirt's words.
Called by: domain.py, devices.py. Calls: nodes.py, schema.py, values.py, errors.
Never: looks at the hypervisor.
"""

from __future__ import annotations

from typing import Any, TypeVar

from libvirtcore.conf.nodes import Node
from libvirtcore.conf.schema import (
    CHILD,
    CHILDREN,
    FLAG,
    IGNORED,
    KEPT,
    LEAF,
    LEAF_ATTRIBUTE,
    LEAVES,
    LIVE,
    ONE,
    TEXT,
    Complaint,
    Element,
    Field,
)
from libvirtcore.conf.values import STRING, BadSize, Codec
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OVERFLOW,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_NONE,
    VIR_FROM_XML,
)

E = TypeVar("E", bound=Element)

PARSE_INACTIVE = 1 << 0  # a definition: what only a running guest has is passed over
USER_ALIAS = "ua-"


def read(cls: type[E], node: Node, kind: str | None = None, flags: int = 0) -> E:
    """The element a node describes; `kind` selects among the fields that depend on one."""
    new = object.__new__(cls)
    values = new.__dict__
    given = node.attributes
    if cls.KIND:
        chooser = cls.NAMES[cls.KIND]
        word = given.get(chooser.xml, chooser.default)
        kind = word if word in cls.KINDS else None
    plan = cls.plan(kind)
    codecs = plan.codecs
    if given:
        known = plan.attributes
        for name, word in given.items():
            field = known.get(name)
            if field is None or (field.secret & LIVE and flags & PARSE_INACTIVE):
                continue
            try:
                value = codecs[field.name].parse(word)
            except ValueError as error:
                _complain(field, name, node.tag, word, error)
                continue
            if value is not None:
                values[field.name] = value
    if plan.text is not None and (not node.children or node.text.strip()):
        _read_text(values, plan.text, codecs[plan.text.name], node)
    elements = plan.elements
    for below in node.children:
        fields = elements.get(below.tag)
        if fields is None:
            if cls.STRICT is not None:
                raise complaint(cls.STRICT, below.tag)
            continue
        for field in fields:
            if field.secret & LIVE and flags & PARSE_INACTIVE and not _keeps_alias(field, below):
                continue
            _read_child(values, field, codecs, below, kind, flags)
    for field in plan.required:
        if values.get(field.name) is None:
            if field.missing is not None:
                raise complaint(field.missing)
            raise required(field.xml, node.tag)
    new.parsed(node)
    return new


def required(name: str, tag: str) -> VirError:
    """The error of an attribute that must be there."""
    return report(
        VIR_ERR_XML_ERROR, VIR_FROM_XML, f"Missing required attribute '{name}' in element '{tag}'"
    )


def complaint(words: Complaint, value: str = "") -> VirError:
    """An error in the words of a field."""
    domain = words[2] if len(words) == 3 else VIR_FROM_DOMAIN
    error = report(words[0], domain, words[1].replace("%s", value, 1))
    if words[0] == VIR_ERR_XML_DETAIL:  # stands alone
        error = VirError(words[0], domain, words[1].replace("%s", value, 1), str1="%s",
                         str2=words[1].replace("%s", value, 1))  # fmt: skip
    return error


def _keeps_alias(field: Field, node: Node) -> bool:
    """Whether this is the alias a user gave a device, which is part of its definition."""
    return field.xml == "alias" and node.attributes.get("name", "").startswith(USER_ALIAS)


def _read_child(
    values: dict[str, Any], field: Field, codecs: dict[str, Codec[Any]], node: Node,
    kind: str | None, flags: int,
) -> None:  # fmt: skip
    """Put one child element where its field says."""
    what = field.kind
    name = field.name
    if what in (CHILD, ONE):
        if name not in values:
            assert field.element is not None
            new = read(field.element, node, kind, flags)
            if (
                field.empty or field.secret & KEPT or not new.blank
            ):  # a bare tag that means nothing is forgotten
                values[name] = new
    elif what == CHILDREN:
        assert field.element is not None
        values.setdefault(name, []).append(read(field.element, node, kind, flags))
    elif what == LEAF:
        if name not in values:
            _read_text(values, field, codecs[name], node)
    elif what == FLAG:
        values[name] = True
    elif what == LEAVES:
        fresh: dict[str, Any] = {}
        _read_text(fresh, field, codecs[name], node)
        if name in fresh:
            values.setdefault(name, []).append(fresh[name])
    elif what == LEAF_ATTRIBUTE:
        word = node.attributes.get(field.xml)
        if word is not None and name not in values:
            try:
                value = codecs[name].parse(word)
            except ValueError as error:
                _complain(field, field.xml, node.tag, word, error)
                return
            if value is not None:
                values[name] = value


def _read_text(values: dict[str, Any], field: Field, codec: Codec[Any], node: Node) -> None:
    """Read the text of an element, with its unit where the value has one."""
    try:
        if codec.unit is None:
            if not node.text and field.kind == TEXT and codec is STRING:
                return
            value = codec.parse(node.text)
        elif not node.text:
            return
        else:
            value = codec.parse_scaled(node.text, node.attributes.get("unit"))
    except ValueError as error:
        _complain(field, "", node.tag, node.text, error)
        return
    if value is not None:
        values[field.name] = value


def _complain(field: Field, name: str, tag: str, word: str, error: ValueError) -> None:
    """Say what is wrong with a value, in the words of the field or the usual ones."""
    if field.bad is IGNORED:
        return
    if isinstance(error, BadSize) and (field.bad is None or error.reason != "number"):
        raise _bad_size(error, tag) from None
    if field.bad is not None:
        raise complaint(field.bad, word) from None
    if name:
        message = f"Invalid value for attribute '{name}' in element '{tag}': {error}"
    else:
        message = f"Invalid value for element '{tag}': {error}"
    raise report(VIR_ERR_XML_ERROR, VIR_FROM_XML, message) from None


def _bad_size(error: BadSize, tag: str) -> VirError:
    if error.reason == "unit":
        return report(VIR_ERR_INVALID_ARG, VIR_FROM_NONE, f"unknown suffix '{error.value}'")
    if error.reason == "overflow":
        return report(VIR_ERR_OVERFLOW, VIR_FROM_NONE, f"value too large: {error.value}")
    return report(
        VIR_ERR_XML_ERROR, VIR_FROM_XML,
        f"Invalid value '{error.value}' for element or attribute './{tag}[1]'",
    )  # fmt: skip
