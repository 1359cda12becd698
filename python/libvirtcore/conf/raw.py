# SPDX-License-Identifier: LGPL-2.1-or-later
"""raw.py: XML that is kept as it is: a domain's metadata, one element per namespace.

Each child must be in a namespace of its own; others are dropped, as libvirt drops them. What is
kept is printed as libxml2 prints it: blanks between elements rearranged, text left alone,
comments and CDATA sections kept.
Called by: domain.py. Calls: nodes.py (limits), errors.
Never: understands what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from libvirtcore.conf.nodes import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, MAX_NAMESPACES, refused
from libvirtcore.errors import report
from libvirtcore.generated.constants import VIR_ERR_XML_ERROR, VIR_FROM_XML

ELEMENT, TEXT, CDATA, COMMENT, INSTRUCTION = range(5)


@dataclass
class RawNode:
    """A piece of XML: an element, a text, a comment, …; `text` is its name or contents."""

    kind: int
    text: str
    attributes: list[tuple[str, str]] = field(default_factory=list)
    children: list[RawNode] = field(default_factory=list)
    namespace: str | None = None
    prefix: str = ""


class Metadata:
    """What applications keep with a domain: one element per namespace."""

    __slots__ = ("_nodes", "_prefixes", "_source")

    def __init__(self, source: str = "", prefixes: dict[str, str] | None = None) -> None:
        self._source = source
        self._prefixes = {k: v for k, v in (prefixes or {}).items() if k != "\0"}
        self._nodes: list[RawNode] | None = None

    @property
    def nodes(self) -> list[RawNode]:
        """The elements, first of each namespace only."""
        if self._nodes is None:
            found: list[RawNode] = []
            if self._source:
                seen = set()
                for node in parse_raw(self._source, self._prefixes).children:
                    if node.kind != ELEMENT or not node.namespace or node.namespace in seen:
                        continue
                    seen.add(node.namespace)
                    found.append(node)
            self._nodes = found
        return self._nodes

    def namespaces(self) -> Iterator[str]:
        """The namespaces that have an element."""
        return (node.namespace for node in self.nodes if node.namespace)

    def get(self, uri: str) -> str | None:
        """The element of a namespace as XML without its prefix's declaration stripped."""
        for node in self.nodes:
            if node.namespace == uri:
                return _text(node, 0)
        return None

    def set(self, uri: str, key: str, xml: str | None) -> None:
        """Put the element `xml` in place of that of namespace `uri`; None removes it."""
        nodes = [node for node in self.nodes if node.namespace != uri]
        if xml is not None:
            node = parse_raw(xml, {})
            node.text = f"{key}:{_local(node.text)}"
            node.attributes.insert(0, (f"xmlns:{key}", uri))
            node.namespace = uri
            _prefix(node, key)
            nodes.append(node)
        self._nodes = nodes

    def copy(self) -> Metadata:
        """A copy that can be changed on its own."""
        new = Metadata(self._source, self._prefixes)
        if self._nodes is not None:
            new._nodes = list(self._nodes)
        return new

    def write(self, out: list[str], indent: str) -> None:
        """Append the element and its contents to a document."""
        if not self.nodes:
            out.append(f"{indent}<metadata/>\n")
            return
        out.append(f"{indent}<metadata>\n")
        for node in self.nodes:
            out.append(f"{indent}  {_text(node, len(indent) // 2 + 1)}\n")
        out.append(f"{indent}</metadata>\n")

    def __str__(self) -> str:
        out: list[str] = []
        self.write(out, "")
        return "".join(out)

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metadata) and str(self) == str(other)

    __hash__ = None  # type: ignore[assignment]


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _prefix(node: RawNode, key: str) -> None:
    """Give unprefixed elements below the prefix of the element they are in."""
    stack = [child for child in node.children if child.kind == ELEMENT]
    while stack:
        item = stack.pop()
        if ":" not in item.text and not any(name == "xmlns" for name, _ in item.attributes):
            item.text = f"{key}:{item.text}"
            stack.extend(child for child in item.children if child.kind == ELEMENT)


def parse_raw(xml: str, prefixes: dict[str, str]) -> RawNode:
    """Everything in a document, mixed content included."""
    top = RawNode(ELEMENT, "")
    stack = [top]
    scopes = [prefixes]
    in_cdata = False
    count = 0
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.buffer_text = True

    def start(name: str, given: list[str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > MAX_DEPTH or count > MAX_ELEMENTS:
            raise refused("metadata: too many elements, or nested too deeply")
        pairs = list(zip(given[::2], given[1::2], strict=True))
        scope = scopes[-1]
        declared = {n[6:]: v for n, v in pairs if n == "xmlns" or n.startswith("xmlns:")}
        if declared:
            scope = scope | declared
            if len(scope) > MAX_NAMESPACES:
                raise refused(f"metadata: more than {MAX_NAMESPACES} namespaces")
        prefix, _, _ = name.rpartition(":")
        pairs.sort(key=lambda pair: not pair[0].startswith("xmlns"))
        node = RawNode(ELEMENT, name, pairs, namespace=scope.get(prefix) or None, prefix=prefix)
        stack[-1].children.append(node)
        stack.append(node)
        scopes.append(scope)

    def end(_name: str) -> None:
        stack.pop()
        scopes.pop()

    def data(text: str) -> None:
        siblings = stack[-1].children
        kind = CDATA if in_cdata else TEXT
        if siblings and siblings[-1].kind == kind:
            siblings[-1].text += text
        else:
            siblings.append(RawNode(kind, text))

    def cdata(on: bool) -> None:
        nonlocal in_cdata
        in_cdata = on

    def doctype(*_: Any) -> None:
        raise refused("metadata: a document type declaration is not accepted")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.CommentHandler = lambda text: stack[-1].children.append(RawNode(COMMENT, text))
    parser.ProcessingInstructionHandler = lambda target, text: stack[-1].children.append(
        RawNode(INSTRUCTION, f"{target} {text}" if text else target)
    )
    parser.StartCdataSectionHandler = lambda: cdata(True)
    parser.EndCdataSectionHandler = lambda: cdata(False)
    parser.StartDoctypeDeclHandler = doctype
    source = xml.encode("utf-8", "surrogatepass")
    if len(source) > MAX_BYTES:
        raise refused(f"metadata: longer than {MAX_BYTES} bytes")
    try:
        parser.Parse(source, True)
    except expat.ExpatError as error:
        raise report(VIR_ERR_XML_ERROR, VIR_FROM_XML, f"metadata: {error}") from None
    node = next(child for child in top.children if child.kind == ELEMENT)
    _drop_blanks(node)
    return node


def _drop_blanks(top: RawNode) -> None:
    """Forget the blanks between elements, where libxml2 takes them for layout."""
    stack = [top]
    while stack:
        node = stack.pop()
        children = node.children
        only_blank = len(children) == 1 and children[0].kind == TEXT
        if not only_blank:
            kept: list[RawNode] = []
            for child in children:
                layout = child.kind == TEXT and not child.text.strip(" \t\r\n")
                if layout and not (kept and TEXT in (kept[-1].kind, kept[0].kind)):
                    continue
                kept.append(child)
            node.children = kept
        stack.extend(child for child in node.children if child.kind == ELEMENT)


_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_VALUE = _TEXT | {'"': "&quot;", "\n": "&#10;", "\t": "&#9;"}
_TEXT_TABLE = str.maketrans(_TEXT)
_VALUE_TABLE = str.maketrans(_VALUE)


def _value(text: str) -> str:
    text = text.translate(_VALUE_TABLE)
    if text.isascii():
        return text
    return "".join(c if c < "\x80" else f"&#x{ord(c):X};" for c in text)


def _text(node: RawNode, level: int) -> str:
    """A node as libxml2 would print it, `level` deep; bounded by MAX_DEPTH."""
    out: list[str] = []
    _write(out, node, level, True)
    return "".join(out)


def _write(out: list[str], node: RawNode, level: int, layout: bool) -> None:
    kind = node.kind
    if kind == TEXT:
        out.append(node.text.translate(_TEXT_TABLE))
    elif kind == CDATA:
        out.append("<![CDATA[" + node.text.replace("]]>", "]]]]><![CDATA[>") + "]]>")
    elif kind == COMMENT:
        out.append(f"<!--{node.text}-->")
    elif kind == INSTRUCTION:
        out.append(f"<?{node.text}?>")
    else:
        head = "".join(f' {name}="{_value(value)}"' for name, value in node.attributes)
        if not node.children:
            out.append(f"<{node.text}{head}/>")
            return
        layout = layout and all(child.kind not in (TEXT, CDATA) for child in node.children)
        out.append(f"<{node.text}{head}>")
        for child in node.children:
            if layout:
                out.append("\n" + "  " * (level + 1))
            _write(out, child, level + 1, layout)
        if layout:
            out.append("\n" + "  " * level)
        out.append(f"</{node.text}>")
