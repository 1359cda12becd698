# SPDX-License-Identifier: LGPL-2.1-or-later
"""strict.py: what libvirt's VALIDATE flags mean: nothing may stand in a document without effect.

Reading passes over elements and attributes that the model does not know, and over values that
libvirt takes leniently; this refuses both, by the same classes. The words are libvirt's, but for
the schema it would name: the model is the schema.
Called by: drivers with a VALIDATE flag. Calls: nodes.py, schema.py, reader.py's rules.
Never: accepts what reading refuses; it comes before reading.
"""

from __future__ import annotations

from libvirtcore.conf.domain import Domain
from libvirtcore.conf.nodes import Node, read_document
from libvirtcore.conf.schema import (
    CHILD,
    CHILDREN,
    LEAF,
    LEAF_ATTRIBUTE,
    LEAVES,
    ONE,
    Element,
    Field,
    Plan,
)
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_XML_INVALID_SCHEMA, VIR_FROM_XML

_FREE = frozenset(("metadata",))  # anything may stand in it


def refuse_unknown(xml: str) -> None:
    """Refuse a domain document that says something nobody would read. Raises: VirError."""
    node, _source = read_document(xml, "domain")
    _check(Domain, node, None)


def _check(cls: type[Element], node: Node, kind: str | None) -> None:
    if cls.KIND:
        chooser = cls.NAMES[cls.KIND]
        word = node.attributes.get(chooser.xml, chooser.default)
        kind = word if word in cls.KINDS else None
    plan = cls.plan(kind)
    if plan.text is None and node.text.strip():
        raise _refusal(f"Did not expect text in element {node.tag} content")
    for name, word in node.attributes.items():
        if name == "xmlns" or name.startswith("xmlns:"):
            continue
        field = plan.attributes.get(name)
        if field is None:
            if name == "unit" and plan.text is not None:
                continue
            raise _refusal(f"Invalid attribute {name} for element {_name(node)}")
        _check_word(plan, field, word, f"attribute {name} of element {_name(node)}")
    for below in node.children:
        fields = plan.elements.get(below.tag)
        if fields is None:
            if below.tag in _FREE:
                continue
            raise _refusal(f"Element {_name(node)} has extra content: {_name(below)}")
        _check_child(plan, fields, below, kind)


def _check_child(plan: Plan, fields: tuple[Field, ...], node: Node, kind: str | None) -> None:
    """One child, which may be read by several fields."""
    attributes = {field.xml: field for field in fields if field.kind == LEAF_ATTRIBUTE}
    for field in fields:
        if field.kind in (CHILD, CHILDREN, ONE):
            assert field.element is not None
            if not attributes:
                _check(field.element, node, kind)
            return
    for field in fields:
        if field.kind in (LEAF, LEAVES):
            codec = plan.codecs[field.name]
            if codec.unit is None:
                _check_word(plan, field, node.text, f"element {_name(node)}")
            else:
                attributes.setdefault("unit", field)
        elif field.kind not in (LEAF_ATTRIBUTE,):
            return  # kept as it stands
    for name, word in node.attributes.items():
        known = attributes.get(name)
        if known is None and not name.startswith("xmlns"):
            raise _refusal(f"Invalid attribute {name} for element {_name(node)}")
        if known is not None and known.kind == LEAF_ATTRIBUTE:
            _check_word(plan, known, word, f"attribute {name} of element {_name(node)}")
    for below in node.children:
        raise _refusal(f"Element {_name(node)} has extra content: {_name(below)}")


def _check_word(plan: Plan, field: Field, word: str, place: str) -> None:
    codec = plan.codecs[field.name]
    try:
        codec.parse(word)
    except (ValueError, VirError):
        raise _refusal(f"Invalid value '{word[:200]}' for {place}") from None


def _name(node: Node) -> str:
    """An element's own name, without its namespace."""
    return node.tag.rpartition("}")[2].lstrip("?").rpartition(":")[2] or node.tag


def _refusal(what: str) -> VirError:
    return report(
        VIR_ERR_XML_INVALID_SCHEMA,
        VIR_FROM_XML,
        f"Unable to validate doc against the model\n{what}\n",
    )
