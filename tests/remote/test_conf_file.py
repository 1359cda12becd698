# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_conf_file.py: libvirt.conf's format, with the messages libvirt 9.0 was seen to give."""

from __future__ import annotations

import pytest

from libvirtcore import conf_file
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# only a comment", {}),
        ('a = 1 # x\r\nb="t"#c\n', {"a": 1, "b": "t"}),
        ("a=1; b = -5\nc=+7", {"a": 1, "b": -5, "c": 7}),
        ('a = "first"\na = "second"\n', {"a": "first"}),
        ("a = 'it \"is\"'", {"a": 'it "is"'}),
        ('a = """two\nlines"""\nb=2', {"a": "two\nlines", "b": 2}),
        ('a = [ "x", # why\n  2,\n]', {"a": ["x", 2]}),
        ("a = [[1],2]\nb = []", {"a": [[1], 2], "b": []}),
        ("\n\n  # x\n\t a = 1", {"a": 1}),
    ],
)
def test_conf_file_values(text: str, values: dict[str, object]) -> None:
    assert conf_file.parse(text, "f") == values


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("= 5", "1: expecting a name"),
        ("1abc = 5", "1: expecting a name"),
        ("_a = 5", "1: expecting a name"),
        ("\xff = 1", "1: expecting a name"),
        ("abc 5", "1: expecting an assignment"),
        ("a.b = 1", "1: expecting an assignment"),
        ("\n\n  # x\n\t a\n = 1", "4: expecting an assignment"),
        ("abc = \n1", "1: expecting a value"),
        ("abc = x", "1: expecting a value"),
        ("abc = [ 1, 2\n", "2: list is not closed with ]"),
        ("abc = [ 1 2]", "1: expecting a separator in list"),
        ("abc = [ ,]", "1: expecting a value"),
        ('abc = """x', "1: expecting a separator"),
        ("abc = 'x\ny'", "1: unterminated string"),
        ("abc = 12x", "1: expecting a separator"),
        ("abc = -", "1: unterminated number"),
        ('a = "b" c = "d"', "1: expecting a separator"),
    ],
)
def test_conf_file_complaints(text: str, complaint: str) -> None:
    with pytest.raises(VirError) as caught:
        conf_file.parse(text, "/etc/f")
    assert (caught.value.code, caught.value.domain) == (c.VIR_ERR_CONF_SYNTAX, c.VIR_FROM_CONF)
    assert caught.value.message == f"configuration file syntax error: /etc/f:{complaint}"


def test_conf_file_types() -> None:
    values = conf_file.parse('n = 5\nt = "x"\nl = ["a", "b"]\nm = [1]', "f")
    assert conf_file.get_string(values, "t", "f") == "x"
    assert conf_file.get_string(values, "none", "f") is None
    assert conf_file.get_strings(values, "l", "f") == ["a", "b"]
    assert conf_file.get_strings(values, "none", "f") == []
    assert conf_file.get_int(values, "n", "f") == 5
    for getter, name, wanted, code in (
        (conf_file.get_string, "n", "string", c.VIR_ERR_INTERNAL_ERROR),
        (conf_file.get_strings, "t", "string list", c.VIR_ERR_INTERNAL_ERROR),
        (conf_file.get_strings, "m", "string list", c.VIR_ERR_CONF_SYNTAX),
        (conf_file.get_int, "t", "signed integer", c.VIR_ERR_INTERNAL_ERROR),
    ):
        with pytest.raises(VirError) as caught:
            getter(values, name, "f")
        assert caught.value.code == code
        assert caught.value.str2 == f"f: expected a {wanted} for '{name}' parameter"
