# SPDX-License-Identifier: LGPL-2.1-or-later
"""writer.py: typed elements → XML text in libvirt's shape.

Two blanks of indentation, single quotes, fields in the order their class states them, elements
with nothing in them left out unless their field says that the bare tag means something.
Called by: domain.py, devices.py. Calls: schema.py, values.py.
Never: checks or completes anything.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.schema import (
    CHILD,
    CHILDREN,
    FLAG,
    HIDDEN,
    LEAF,
    LEAF_ATTRIBUTE,
    LEAVES,
    LIVE,
    ONE,
    SECURE,
    Element,
    Field,
    Plan,
)

FORMAT_SECURE = 1  # VIR_DOMAIN_XML_SECURE
FORMAT_INACTIVE = 2  # VIR_DOMAIN_XML_INACTIVE
USER_ALIAS = "ua-"


def format_element(
    element: Element, tag: str, flags: int = 0, kind: str | None = None, indent: str = "",
    empty: bool = True,
) -> str:  # fmt: skip
    """The text of one element and all below it."""
    out: list[str] = []
    write(out, element, tag, indent, kind, flags, empty)
    return "".join(out)


def write(
    out: list[str], element: Element, tag: str, indent: str, kind: str | None, flags: int,
    empty: bool = True,
) -> None:  # fmt: skip
    """Append one element to `out`; nothing at all if it is bare and `empty` is false."""
    cls = type(element)
    if cls.printed is not Element.printed:
        element = element.printed(flags)
    values = element.__dict__
    if cls.KIND:
        word = values.get(cls.KIND, cls.NAMES[cls.KIND].default)
        kind = word if word in cls.KINDS else None
    plan = cls.plan(kind)
    hidden = HIDDEN
    if not flags & FORMAT_SECURE:
        hidden |= SECURE
    if flags & FORMAT_INACTIVE:
        hidden |= LIVE
    get = values.get
    head = ""
    for field, codec in plan.head:
        value = get(field.name, field.default)
        if value is not None and not field.secret & hidden:
            head += f" {field.xml}='{codec.format(value)}'"
    if plan.text is not None:
        value = get(plan.text.name, plan.text.default)
        if value is not None and not plan.text.secret & hidden:
            codec = plan.codecs[plan.text.name]
            if codec.unit is not None:
                head += f" unit='{codec.unit}'"
            out.append(f"{indent}<{tag}{head}>{codec.format(value)}</{tag}>\n")
            return
    place = len(out)
    out.append("")
    deeper = indent + "  "
    for field in plan.body:
        value = get(field.name, field.default)
        if value is None or value is False:
            continue
        if field.secret & hidden and not _keeps_alias(field, value):
            continue
        _write_field(out, field, value, plan, values, deeper, kind, flags)
    if len(out) > place + 1 or cls.OPEN:
        out[place] = f"{indent}<{tag}{head}>\n"
        out.append(f"{indent}</{tag}>\n")
    elif head or empty:
        out[place] = f"{indent}<{tag}{head}/>\n"
    else:
        out.pop()


def _keeps_alias(field: Field, value: Any) -> bool:
    """Whether this is the alias a user gave a device, which is part of its definition."""
    return field.xml == "alias" and (value.name or "").startswith(USER_ALIAS)


def _write_field(
    out: list[str], field: Field, value: Any, plan: Plan, values: dict[str, Any], indent: str,
    kind: str | None, flags: int,
) -> None:  # fmt: skip
    """Append one child field that has a value."""
    what = field.kind
    xml = field.xml
    if what in (CHILD, ONE):
        write(out, value, xml, indent, kind, flags, field.empty)
    elif what == CHILDREN:
        for item in value:
            write(out, item, xml, indent, kind, flags, field.empty)
    elif what == LEAF:
        codec = plan.codecs[field.name]
        head = ""
        if codec.unit is not None:
            head = f" unit='{codec.unit}'"
        for beside in plan.elements[xml]:
            if beside.kind == LEAF_ATTRIBUTE and values.get(beside.name) is not None:
                head += f" {beside.xml}='{plan.codecs[beside.name].format(values[beside.name])}'"
        out.append(f"{indent}<{xml}{head}>{codec.format(value)}</{xml}>\n")
    elif what == FLAG:
        out.append(f"{indent}<{xml}/>\n")
    elif what == LEAVES:
        codec = plan.codecs[field.name]
        out.extend(f"{indent}<{xml}>{codec.format(item)}</{xml}>\n" for item in value)
    else:
        value.write(out, indent)
