# SPDX-License-Identifier: LGPL-2.1-or-later
"""nodes.py: a document from anybody → a small tree, with everything hostile refused first.

No document type, so no entity but the five of XML and no expansion; bounded size, depth and
number of elements; UTF-8 only. Elements of namespaces the model does not know get a name that
no model class has, so they are passed over as libvirt passes over them. The tree keeps no mixed
content: metadata is remembered as a span of the source, see raw.py.
Called by: reader.py (through read_document), identity.py. Calls: errors, pyexpat.
Never: opens a file or the network.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any
from xml.parsers import expat

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_XML,
)

MAX_BYTES = 10_000_000  # no text of libvirt's protocol is longer than 4 MiB, files are not either
MAX_DEPTH = 256  # libxml2's own limit
MAX_ELEMENTS = 200_000  # some 100 MB as a tree; 10,000 disks need 60,000
MAX_NAMESPACES = 256  # in force at one place; each element has a copy of them made

MAX_SHOWN = 4000  # of the line with a mistake
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
KNOWN_NAMESPACES = {QEMU_NAMESPACE: "qemu:"}


class Node:
    """An element: name, attributes, child elements, its own text, its span of the source."""

    __slots__ = ("attributes", "children", "end", "start", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Node] = []
        self.text = ""
        self.start = 0
        self.end = 0


class _Builder:
    """expat's handlers. `only` limits the children of the root that are kept."""

    def __init__(self, source: bytes, what: str, only: Container[str] | None) -> None:
        self.source = source
        self.what = what
        self.only = only
        self.root: Node | None = None
        self.open: list[Node | None] = []
        self.texts: list[list[str]] = []  # of the open elements, in pieces
        self.names: list[tuple[str, int]] = []  # open tags as written, with their lines
        self.scopes: list[dict[str, str]] = []
        self.prefixes: dict[str, str] = {}
        self.count = 0
        parser = self.parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.data
        parser.StartDoctypeDeclHandler = self.doctype

    def doctype(self, *_: Any) -> None:
        raise refused(f"{self.what}: a document type declaration is not accepted")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        stack = self.open
        depth = len(stack)
        self.count += 1
        if depth >= MAX_DEPTH:
            raise refused(f"{self.what}: elements are nested deeper than {MAX_DEPTH}")
        if self.count > MAX_ELEMENTS:
            raise refused(f"{self.what}: more than {MAX_ELEMENTS} elements")
        self.names.append((tag, self.parser.CurrentLineNumber))
        self.texts.append([])
        if self.prefixes or any(name.startswith("xmlns") for name in attributes):
            tag = self.scoped(tag, attributes)
        elif ":" in tag:
            tag = "?" + tag
        if depth == 0:
            self.root = node = Node(tag, attributes)
        else:
            parent = stack[-1]
            skip = parent is None or (depth == 1 and self.only is not None and tag not in self.only)
            if skip:
                stack.append(None)
                return
            assert parent is not None
            node = Node(tag, attributes)
            parent.children.append(node)
            if depth == 1 and tag == "metadata":
                node.start = self.parser.CurrentByteIndex
                node.attributes = dict(self.prefixes)
                self.open.append(node)
                return
            if parent.start:  # inside metadata nothing is kept but the span
                parent.children.clear()
                stack.append(None)
                return
        stack.append(node)

    def scoped(self, tag: str, attributes: dict[str, str]) -> str:
        """The name of an element by the namespaces in force, which it may change."""
        declared = {
            name[6:]: value
            for name, value in attributes.items()
            if name == "xmlns" or name.startswith("xmlns:")
        }
        self.scopes.append(self.prefixes)
        if declared:
            self.prefixes = self.prefixes | declared
            if len(self.prefixes) > MAX_NAMESPACES:
                raise refused(f"{self.what}: more than {MAX_NAMESPACES} namespaces")
        else:
            self.prefixes = dict(self.prefixes)  # a copy marks the scope of this element
        self.prefixes["\0"] = str(len(self.open))
        prefix, colon, local = tag.rpartition(":")
        uri = self.prefixes.get(prefix, "" if not colon else "?")
        if not uri:
            return local
        return KNOWN_NAMESPACES.get(uri, f"{{{uri}}}") + local

    def end(self, _tag: str) -> None:
        node = self.open.pop()
        self.names.pop()
        pieces = self.texts.pop()
        if node is not None and pieces:
            node.text = "".join(pieces)
        if self.prefixes and self.prefixes["\0"] == str(len(self.open)):
            self.prefixes = self.scopes.pop()
        if node is not None and node.start:
            place = self.parser.CurrentByteIndex
            closing = self.source.startswith(b"</", place)  # <metadata/> has no tag of its own
            node.end = self.source.find(b">", place) + 1 if closing else place

    def data(self, text: str) -> None:
        if self.open[-1] is not None:
            self.texts[-1].append(text)


def refused(message: str) -> VirError:
    """The error of a document we do not even read."""
    return report(VIR_ERR_XML_ERROR, VIR_FROM_XML, message)


def read_document(
    xml: str, root: str, what: str = "(domain_definition)", only: Container[str] | None = None
) -> tuple[Node, bytes]:
    """The tree of a document whose root element must be `root` ("" for any), and its bytes."""
    if type(xml) is not str:
        raise TypeError(f"XML must be str, not {type(xml).__name__}")
    if len(xml) > MAX_BYTES:
        raise refused(f"{what}: longer than {MAX_BYTES} bytes")
    try:
        source = xml.encode()
    except UnicodeEncodeError:
        raise refused(f"{what}: not valid Unicode") from None
    if len(source) > MAX_BYTES:
        raise refused(f"{what}: longer than {MAX_BYTES} bytes")
    builder = _Builder(source, what, only)
    try:
        builder.parser.Parse(source, True)
    except expat.ExpatError as error:
        raise _malformed(builder, error) from None
    node = builder.root
    assert node is not None
    if root and node.tag != root:
        name = node.tag.rpartition("}")[2].lstrip("?")
        if name == root and node.tag.startswith("{"):
            node.children.clear()  # of another namespace: nothing in it is ours
        else:
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_XML, f"expecting root element of '{root}', not '{name}'"
            )
    return node, source


def _malformed(builder: _Builder, error: expat.ExpatError) -> VirError:
    """A syntax error as libvirt shows it: place, complaint, the line and a caret."""
    codes = expat.errors.codes
    line, column = error.lineno, error.offset
    lines = builder.source.split(b"\n")
    text = lines[line - 1] if line <= len(lines) else b""
    place = builder.parser.ErrorByteIndex
    what = expat.errors.messages.get(error.code, "syntax error")
    opened = builder.names[-1] if builder.names else None
    if error.code == codes[expat.errors.XML_ERROR_TAG_MISMATCH] and opened:
        rest = builder.source[place : place + 200].removeprefix(b"</").partition(b">")[0]
        close = rest.decode("utf-8", "replace").strip()
        what = (
            f"Opening and ending tag mismatch: {_local(opened[0])} line {opened[1]}"
            f" and {_local(close)}"
        )
        column += len(close.encode()) + 1
    elif error.code == codes[expat.errors.XML_ERROR_NO_ELEMENTS]:
        if opened is None:
            return _detail(f"{builder.what}:1: Document is empty\n(null)\n^")
        what = f"Premature end of data in tag {opened[0]} line {opened[1]}"
    elif error.code == codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]:
        name = builder.source[place : place + 200].split(b";")[0].lstrip(b"&")
        what = f"Entity '{name.decode('utf-8', 'replace')}' not defined"
        column += len(name) + 2
    elif error.code == codes[expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE]:
        words = builder.source[place : place + 200].partition(b"=")[0].split()
        name = words[-1] if words else b""
        what = f"Attribute {name.decode('utf-8', 'replace')} redefined"
        closing = text.find(b">", column)
        column = closing - (text[closing - 1 : closing] == b"/") if closing > 0 else column
    shown = text[:MAX_SHOWN].decode("utf-8", "replace")
    caret = "-" * min(column, MAX_SHOWN) + "^"
    return _detail(f"{builder.what}:{line}: {what}\n{shown}\n{caret}")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _detail(message: str) -> VirError:
    return VirError(VIR_ERR_XML_DETAIL, VIR_FROM_DOMAIN, message, str1="%s", str2=message)
