# SPDX-License-Identifier: LGPL-2.1-or-later
"""definition.py: the part of a domain document that the test driver needs.

Reads the identity and the sizes out of a domain document, keeps everything else as it was given,
and writes it back in libvirt's layout. The full model of domain XML is a later room (conf/).
Called by: drivers.test.node and its mixins.
Never: resolves entities, loads external files, or accepts a document type declaration.
"""

from __future__ import annotations

import uuid as uuidlib
from xml.etree import ElementTree
from xml.parsers import expat

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

# A domain document of a real host stays below 100 KiB; RPC limits any string to 4 MiB.
MAX_XML_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64

_UNITS = {
    "b": 1, "bytes": 1,
    "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40,
}  # fmt: skip


def _xml_error(text: str) -> VirError:
    return report(c.VIR_ERR_XML_ERROR, c.VIR_FROM_DOMAIN, text)


class _Builder(ElementTree.TreeBuilder):
    """A tree builder with a depth limit; deeper documents only exist to exhaust a parser."""

    depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _xml_error(f"elements nested deeper than {MAX_DEPTH}")
        return super().start(tag, attrs)

    def end(self, tag: str) -> ElementTree.Element:
        self.depth -= 1
        return super().end(tag)


def _refuse_dtd(*_args: object) -> None:
    raise _xml_error("a document type declaration is not allowed")


def parse_tree(xml: str, what: str) -> ElementTree.Element:
    """Parse untrusted XML into a tree; `what` names the document in errors."""
    if len(xml.encode("utf-8", "surrogatepass")) > MAX_XML_BYTES:
        raise _xml_error(f"document is larger than {MAX_XML_BYTES} bytes")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=None)
    parser.StartDoctypeDeclHandler = _refuse_dtd
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.CommentHandler = None
    try:
        parser.Parse(xml.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError) as fault:
        raise _syntax_error(xml, what, fault) from None
    return builder.close()


def _syntax_error(xml: str, what: str, fault: Exception) -> VirError:
    line = getattr(fault, "lineno", 1)
    column = getattr(fault, "offset", 0)
    text = xml.split("\n")[line - 1 : line] or [""]
    reason = expat.ErrorString(fault.code) if isinstance(fault, expat.ExpatError) else "not UTF-8"
    detail = f"({what}):{line}: {reason}\n{text[0][:80]}\n{'-' * min(column, 80)}^"
    return report(c.VIR_ERR_XML_DETAIL, c.VIR_FROM_DOMAIN, detail)


def _kib(element: ElementTree.Element) -> int:
    text = (element.text or "").strip()
    unit = element.get("unit", "KiB")
    if not text.isdecimal():
        raise report(
            c.VIR_ERR_XML_ERROR,
            c.VIR_FROM_XML,
            f"Invalid value '{text}' for element or attribute './{element.tag}[1]'",
        )
    if unit not in _UNITS:
        raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_NONE, f"unknown suffix '{unit}'")
    return (int(text) * _UNITS[unit] + 1023) // 1024


class Definition:
    """One domain document: identity, sizes and the tree it came from."""

    def __init__(self, xml: str) -> None:
        root = parse_tree(xml, "domain_definition")
        if root.tag != "domain":
            raise report(
                c.VIR_ERR_XML_ERROR,
                c.VIR_FROM_XML,
                f"expecting root element of 'domain', not '{root.tag}'",
            )
        self.root = root
        self.name = self._parse_name()
        if not root.get("type"):
            raise report(
                c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_DOMAIN, "missing domain type attribute"
            )
        self.uuid = self._parse_uuid()
        self._parse_os()
        self.max_memory, self.memory = self._parse_memory()
        self.vcpus = self._parse_vcpus()
        self._formatted: tuple[tuple[object, ...], str] = ((), "")  # what it depends on, and it

    def _parse_name(self) -> str:
        name = self.root.findtext("name") or ""
        if not name:
            raise report(c.VIR_ERR_NO_NAME, c.VIR_FROM_DOMAIN)
        if "/" in name:
            raise _xml_error(f"name {name} cannot contain '/'")
        if "\n" in name:
            raise _xml_error(f"name {name} cannot contain '\n'")
        return name

    def _parse_uuid(self) -> bytes:
        element = self.root.find("uuid")
        if element is None:
            return uuidlib.uuid4().bytes
        try:
            return uuidlib.UUID((element.text or "").strip()).bytes
        except ValueError:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_DOMAIN, "malformed uuid element"
            ) from None

    def _parse_os(self) -> None:
        os_type = self.root.findtext("os/type")
        bootloader = self.root.findtext("bootloader")
        if not os_type and not bootloader:
            raise _xml_error("an os <type> must be specified")
        if os_type not in (None, "hvm", "xen", "linux", "exe", "uml", "xenpvh"):
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_DOMAIN, f"unknown OS type '{os_type}'"
            )

    def _parse_memory(self) -> tuple[int, int]:
        element = self.root.find("memory")
        if element is None:
            raise _xml_error(
                "Memory size must be specified via <memory> or in the <numa> configuration"
            )
        maximum = _kib(element)
        current = self.root.find("currentMemory")
        return maximum, min(maximum, _kib(current)) if current is not None else maximum

    def _parse_vcpus(self) -> int:
        text = (self.root.findtext("vcpu") or "1").strip()
        if not text.isdecimal() or not 1 <= int(text) <= 32:
            raise _xml_error(f"maximum vcpus must be an integer between 1 and 32, not '{text}'")
        return int(text)

    @property
    def uuid_string(self) -> str:
        return str(uuidlib.UUID(bytes=self.uuid))

    def set_text(self, path: str, text: str, after: str) -> None:
        """Set the text of a child of the root, creating it behind the child named `after`."""
        element = self.root.find(path)
        if element is None:
            element = ElementTree.Element(path)
            tags = [child.tag for child in self.root]
            self.root.insert(tags.index(after) + 1 if after in tags else len(tags), element)
        element.text = text

    def format(self, domain_id: int) -> str:
        """Return the document as libvirt lays it out, with uuid and, when running, the id."""
        facts = (self.name, self.uuid, self.max_memory, self.memory, self.vcpus, domain_id)
        if facts != self._formatted[0]:
            self._formatted = (facts, self._format(domain_id))
        return self._formatted[1]

    def _format(self, domain_id: int) -> str:
        self.set_text("name", self.name, after="")
        self.set_text("uuid", self.uuid_string, after="name")
        self.set_text("memory", str(self.max_memory), after="uuid")
        self.set_text("currentMemory", str(self.memory), after="memory")
        self.set_text("vcpu", str(self.vcpus), after="currentMemory")
        for path in ("memory", "currentMemory"):
            self.root.find(path).set("unit", "KiB")  # type: ignore[union-attr]
        attributes = {k: v for k, v in self.root.attrib.items() if k != "id"}
        if domain_id != -1:
            attributes["id"] = str(domain_id)
        lines: list[str] = []
        _format_element(self.root, attributes, 0, lines)
        return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("'", "&apos;").replace('"', "&quot;")


def _format_element(
    element: ElementTree.Element, attributes: dict[str, str], depth: int, lines: list[str]
) -> None:
    pad = "  " * depth
    head = pad + "<" + element.tag
    head += "".join(f" {key}='{_escape(value)}'" for key, value in attributes.items())
    text = element.text or ""
    if len(element) == 0:
        lines.append(f"{head}>{_escape(text)}</{element.tag}>" if text.strip() else f"{head}/>")
        return
    lines.append(head + ">")
    for child in element:
        _format_element(child, child.attrib, depth + 1, lines)
    lines.append(f"{pad}</{element.tag}>")
