# SPDX-License-Identifier: LGPL-2.1-or-later
"""schema.py: the notation in which the XML is described, once, as typed Python classes.

    class Target(Element):
        dev = attribute(STRING, required=True)
        bus = attribute(Choice("ide", "scsi", "virtio"))

An attribute, text or child element is a class attribute; its XML name is the Python name unless
one is given; its place in the class is its place in the output. From that, reader.py, writer.py,
comparison, copies and the Python types are derived: a type checker sees `str` and `str | None`.
At run time the class attribute is the default, so a value that is not given costs nothing.
Called by: every model class, reader.py, writer.py. Calls: values.py, errors.
Never: knows a particular element.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

from libvirtcore.conf.values import Codec

if TYPE_CHECKING:
    from libvirtcore.conf.nodes import Node
    from libvirtcore.conf.raw import Metadata

T = TypeVar("T")
E = TypeVar("E", bound="Element")

ATTRIBUTE, TEXT, LEAF, LEAVES, FLAG, CHILD, CHILDREN, LEAF_ATTRIBUTE, RAW, ONE = range(10)

SECURE = 1 << 0  # printed only when secrets are asked for
LIVE = 1 << 1  # printed and read only for running guests
HIDDEN = 1 << 2  # read, never printed
KEPT = 1 << 3  # a bare tag is remembered, so that it can be complained about

# A VIR_ERR_ code, a text in which %s is the value, and a VIR_FROM_ domain if not the usual one.
Complaint: TypeAlias = "tuple[int, str] | tuple[int, str, int]"
IGNORED: Complaint = (0, "")  # a value that makes no sense is passed over


class Field:
    """One attribute, text or child of an element, as the class states it."""

    __slots__ = (
        "bad", "codec", "codecs", "default", "element", "empty", "kind", "leaf_of", "live_when",
        "missing",
        "name", "order", "required", "secret", "when", "xml",
    )  # fmt: skip

    def __init__(
        self, kind: int, xml: str, *, codec: Codec[Any] | None = None,
        element: type[Element] | None = None, default: Any = None, required: bool = False,
        bad: Complaint | None = None, missing: Complaint | None = None,
        when: Iterable[str] | Mapping[str, Codec[Any]] | None = None, order: int = 0,
        secret: int = 0, leaf_of: str = "", empty: bool = False,
        live_when: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.kind = kind
        self.xml = xml
        self.name = ""
        self.codec = codec
        self.element = element
        self.default = default
        self.required = required or missing is not None
        self.bad = bad
        self.missing = missing
        self.when = None if when is None else frozenset(when)
        self.codecs = dict(when) if isinstance(when, Mapping) else {}
        self.order = order
        self.secret = secret
        self.leaf_of = leaf_of
        self.empty = empty
        self.live_when = frozenset(live_when)


@overload
def attribute(
    codec: Codec[T], xml: str = ..., *, default: T, bad: Complaint | None = ...,
    when: Iterable[str] | Mapping[str, Codec[T]] | None = ..., secret: int = ..., order: int = ...,
) -> T: ...  # fmt: skip
@overload
def attribute(
    codec: Codec[T], xml: str = ..., *, required: Literal[True], bad: Complaint | None = ...,
    missing: Complaint | None = ...,
    when: Iterable[str] | Mapping[str, Codec[T]] | None = ..., secret: int = ..., order: int = ...,
) -> T: ...  # fmt: skip
@overload
def attribute(
    codec: Codec[T], xml: str = ..., *, missing: Complaint, bad: Complaint | None = ...,
    when: Iterable[str] | Mapping[str, Codec[T]] | None = ..., secret: int = ..., order: int = ...,
) -> T: ...  # fmt: skip
@overload
def attribute(
    codec: Codec[T], xml: str = ..., *, bad: Complaint | None = ...,
    when: Iterable[str] | Mapping[str, Codec[T]] | None = ..., secret: int = ..., order: int = ...,
    live_when: Iterable[str] = ...,
) -> T | None: ...  # fmt: skip
def attribute(codec: Codec[Any], xml: str = "", **facts: Any) -> Any:
    """An attribute of the element."""
    return Field(ATTRIBUTE, xml, codec=codec, **facts)


@overload
def text(codec: Codec[T], *, default: T, bad: Complaint | None = ...) -> T: ...
@overload
def text(codec: Codec[T], *, required: Literal[True], bad: Complaint | None = ...) -> T: ...
@overload
def text(codec: Codec[T], *, bad: Complaint | None = ..., secret: int = ...) -> T | None: ...
def text(codec: Codec[Any], **facts: Any) -> Any:
    """The text between the tags of the element."""
    return Field(TEXT, "", codec=codec, **facts)


@overload
def leaf(
    codec: Codec[T], xml: str = ..., *, default: T, bad: Complaint | None = ..., order: int = ...,
    when: Iterable[str] | None = ..., secret: int = ...,
) -> T: ...  # fmt: skip
@overload
def leaf(
    codec: Codec[T], xml: str = ..., *, missing: Complaint, bad: Complaint | None = ...,
    order: int = ..., when: Iterable[str] | None = ..., secret: int = ...,
) -> T: ...  # fmt: skip
@overload
def leaf(
    codec: Codec[T], xml: str = ..., *, bad: Complaint | None = ..., order: int = ...,
    when: Iterable[str] | None = ..., secret: int = ...,
) -> T | None: ...  # fmt: skip
def leaf(codec: Codec[Any], xml: str = "", **facts: Any) -> Any:
    """A child element that is nothing but its text; a size brings its `unit`."""
    return Field(LEAF, xml, codec=codec, **facts)


def leaves(codec: Codec[T], xml: str, *, when: Iterable[str] | None = None) -> list[T]:
    """Repeated child elements that are nothing but their text."""
    return cast("list[T]", Field(LEAVES, xml, codec=codec, when=when))


def leaf_attribute(
    codec: Codec[T], of: str, xml: str, *, bad: Complaint | None = None, secret: int = 0
) -> T | None:
    """An attribute of the leaf `of`, kept beside it."""
    return cast("T | None", Field(LEAF_ATTRIBUTE, xml, codec=codec, leaf_of=of, secret=secret,
                                  bad=bad))  # fmt: skip


def flag(xml: str = "", *, when: Iterable[str] | None = None, order: int = 0) -> bool:
    """An empty child element whose presence says yes."""
    return cast("bool", Field(FLAG, xml, default=False, when=when, order=order))


def child(
    element: type[E], xml: str = "", *, when: Iterable[str] | None = None, order: int = 0,
    empty: bool = False, secret: int = 0, missing: Complaint | None = None,
) -> E | None:  # fmt: skip
    """A child element; `empty` prints it even when nothing is in it."""
    return cast("E | None", Field(CHILD, xml, element=element, when=when, order=order,
                                  empty=empty, secret=secret, missing=missing))  # fmt: skip


def children(
    element: type[E], xml: str, *, when: Iterable[str] | None = None, order: int = 0,
    empty: bool = True, secret: int = 0,
) -> list[E]:  # fmt: skip
    """Repeated child elements, in the order of the document."""
    return cast("list[E]", Field(CHILDREN, xml, element=element, when=when, order=order,
                                 empty=empty, secret=secret))  # fmt: skip


def one(element: type[E], xml: str = "", *, empty: bool = False) -> E:
    """A child element that is always there, if only as an empty object."""
    return cast("E", Field(ONE, xml, element=element, empty=empty))


def raw(xml: str) -> Metadata | None:
    """A child element that is kept as it is, by its owner."""
    return cast("Metadata | None", Field(RAW, xml))


def nested(xml: str, *, when: Iterable[str] | None = None, order: int = 0) -> Any:
    """A child element of the same class; annotate the attribute with it."""
    return Field(CHILD, xml, when=when, order=order, empty=True)


class Plan(NamedTuple):
    """The fields of a class for one kind of it, ready for the reader and the writer."""

    fields: tuple[Field, ...]
    codecs: dict[str, Codec[Any]]
    attributes: dict[str, Field]
    elements: dict[str, tuple[Field, ...]]
    text: Field | None
    required: tuple[Field, ...]
    head: tuple[tuple[Field, Codec[Any]], ...]
    body: tuple[Field, ...]


class Element:
    """An XML element as a typed object. Values are plain attributes; equality is by value."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    NAMES: ClassVar[dict[str, Field]] = {}
    LISTS: ClassVar[dict[str, type[Element] | None]] = {}  # made when first looked at
    PLANS: ClassVar[dict[str | None, Plan]] = {}
    KIND: ClassVar[str] = ""  # the attribute whose value selects among fields with `when`
    KINDS: ClassVar[frozenset[str]] = frozenset()  # the words `when` may name below this class
    STRICT: ClassVar[Complaint | None] = None  # what to say about an unknown child
    SPEAKS: ClassVar[bool] = False  # has defaults that are written
    OPEN: ClassVar[bool] = False  # written with two tags even when nothing is in it

    def __init__(self, **values: Any) -> None:
        names = self.NAMES
        for name in values:
            if name not in names:
                raise TypeError(f"{type(self).__name__} has no field named {name!r}")
        self.__dict__.update(values)

    def __init_subclass__(cls) -> None:
        own = []
        for name, value in list(cls.__dict__.items()):
            if isinstance(value, Field):
                value.name = name
                value.xml = value.xml or name.removesuffix("_")
                if value.kind == CHILD and value.element is None:
                    value.element = cls
                own.append(value)
                if value.kind in (CHILDREN, LEAVES, ONE):
                    delattr(cls, name)
                else:
                    setattr(cls, name, value.default)
        inherited = [f for f in cls.FIELDS if f.name not in {mine.name for mine in own}]
        cls.FIELDS = tuple(sorted(inherited + own, key=lambda field: field.order))
        cls.NAMES = {field.name: field for field in cls.FIELDS}
        cls.LISTS = {f.name: f.element if f.kind == ONE else None for f in cls.FIELDS
                     if f.kind in (CHILDREN, LEAVES, ONE)}  # fmt: skip
        cls.SPEAKS = any(f.default is not None and f.default is not False for f in cls.FIELDS)
        cls.PLANS = {}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in self.LISTS:
                element = self.LISTS[name]
                self.__dict__[name] = fresh = [] if element is None else element()
                return fresh
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @classmethod
    def plan(cls, kind: str | None) -> Plan:
        """The fields that count for `kind`, prepared once."""
        plan = cls.PLANS.get(kind)
        if plan is None:
            plan = cls.PLANS[kind] = _plan(cls, kind)
        return plan

    @property
    def blank(self) -> bool:
        """Whether nothing of it would be written but its bare tag."""
        if self.SPEAKS:
            return False
        names = self.NAMES
        return all(
            value is None or value == [] or (value is False and names[name].kind == FLAG)
            for name, value in self.__dict__.items()
        )

    def parsed(self, node: Node) -> None:
        """Checks and completions of one element, right after it was read."""

    def printed(self, flags: int) -> Element:
        """What is written in its place; itself unless a class has a reason."""
        return self

    def copy(self: E) -> E:
        """A copy that shares nothing that can change."""
        new = object.__new__(type(self))
        for name, value in self.__dict__.items():
            if hasattr(value, "copy") and type(value) is not list:
                value = value.copy()
            elif type(value) is list:
                value = [item.copy() if isinstance(item, Element) else item for item in value]
            new.__dict__[name] = value
        return new

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        for field in self.FIELDS:
            default = field.default
            if field.kind in (CHILDREN, LEAVES):
                default = []
            elif field.kind == ONE and field.element is not None:
                default = field.element()
            if mine.get(field.name, default) != theirs.get(field.name, default):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{f.name}={self.__dict__[f.name]!r}"
            for f in self.FIELDS
            if self.__dict__.get(f.name, f.default) not in (f.default, []) and not f.secret & SECURE
        )
        return f"{type(self).__name__}({shown})"


def _live(field: Field) -> Field:
    """The same field, of running guests only."""
    twin = copy.copy(field)
    twin.secret |= LIVE
    return twin


def _plan(cls: type[Element], kind: str | None) -> Plan:
    fields = tuple(
        _live(field) if kind in field.live_when else field
        for field in cls.FIELDS
        if field.when is None or kind in field.when
    )
    codecs: dict[str, Codec[Any]] = {}
    attributes: dict[str, Field] = {}
    elements: dict[str, list[Field]] = {}
    content = None
    for field in fields:
        if field.codec is not None:
            codecs[field.name] = field.codecs.get(kind or "", field.codec)
        if field.kind == ATTRIBUTE:
            attributes[field.xml] = field
        elif field.kind == TEXT:
            content = field
        elif field.kind == LEAF_ATTRIBUTE:
            elements.setdefault(field.leaf_of, []).append(field)
        else:
            elements.setdefault(field.xml, []).append(field)
    return Plan(
        fields, codecs, attributes, {name: tuple(found) for name, found in elements.items()},
        content, tuple(f for f in fields if f.required),
        tuple((f, codecs[f.name]) for f in fields if f.kind == ATTRIBUTE),
        tuple(f for f in fields if f.kind not in (ATTRIBUTE, TEXT, LEAF_ATTRIBUTE)),
    )  # fmt: skip
