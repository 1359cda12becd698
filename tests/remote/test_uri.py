# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_uri.py: URIs are taken apart and put together as libvirt 9.0 was seen to do."""

from __future__ import annotations

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.uri import Param, Uri, parse


def test_uri_parts() -> None:
    uri = parse("qemu+TCP://us%20er@[fe80::1%25lo]:77/sys%20tem?a=1;b=2&c#fr%20ag")
    assert (uri.driver, uri.transport) == ("qemu", "tcp")
    assert (uri.user, uri.server, uri.port) == ("us er", "fe80::1%lo", 77)
    assert uri.path == "/sys tem"
    assert uri.params == (Param("a", "1;b=2"), Param("c", ""))
    assert uri.fragment == "fr ag"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("test+unix:///de%66ault?x=%20&y", "test+unix:///default?x=%20&y"),
        ("qemu:/system", "qemu:///system"),
        ("test+unix://user@/default", "test+unix://user@/default"),
        ("test+unix://:77/default", "test+unix:///default"),
        ("qemu:system", "qemu://system"),
        ("qemu:", "qemu://"),
        ("qemu+tcp://[::1]:3/x", "qemu+tcp://[::1]:3/x"),
        ("test:///a%20b%2Bc+d~!'(*),;:@&=$", "test:///a%20b+c+d~!'(*),;%3A@&=$"),
        ("test:///x?a=%zz", None),
        ("test:///x?a=[1]", None),
        ('test:///x?a="', None),
        ("test:///x?a=é", None),
        ("qemu:///sys tem", None),
        ("qemu://[::1", None),
        ("qemu+tcp://[::1]x/", None),
        ("qemu+tcp://localhost:/system", None),
        ("qemu+tcp://localhost:16509x/system", None),
        ("qemu+tcp://a@b@c:1/", None),
        ("1qemu:///x", None),
        ("+unix:///x", None),
        (":", None),
    ],
)
def test_uri_round_trip(text: str, shown: str | None) -> None:
    if shown is not None:
        assert str(parse(text)) == shown
        return
    with pytest.raises(VirError) as caught:
        parse(text)
    assert (caught.value.code, caught.value.domain) == (c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_URI)
    assert caught.value.message == f"internal error: Unable to parse URI {text}"


def test_uri_of_an_alias_has_no_scheme() -> None:
    assert parse("sl-ee_t") == Uri(path="sl-ee_t")


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        (
            "test+unix:///default?socket=/s&a=b%2Fc;d=e%20f&g",
            "test:///default?a=b%2Fc%3Bd%3De%20f&g=",
        ),
        ("test+unix:///default?&=x&y=1=2&SOCKET=/s", "test:///default?y=1%3D2"),
        ("qemu+tcp://u@h:1/system#frag", "qemu:///system#frag"),
        ("test+unix:///x?na%20me=a+b", "test:///x?na%20me=a%2Bb"),
    ],
)
def test_uri_inner_is_what_the_daemon_opens(text: str, inner: str) -> None:
    assert str(parse(text).inner(frozenset(("socket",)))) == inner


def test_uri_param_ignores_case_and_takes_the_last() -> None:
    uri = parse("test:///x?Socket=a&socket=b&o=1")
    assert uri.param("SOCKET") == "b"
    assert uri.param("missing") is None
