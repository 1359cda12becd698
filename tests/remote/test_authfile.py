# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_authfile.py: auth.conf answers before the caller is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libvirtcore.drivers.remote.authfile import AuthFile, locate
from libvirtcore.drivers.remote.credentials import AUTHNAME, PASSPHRASE, Credentials
from libvirtcore.drivers.remote.options import Options
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c

GOOD = """# passwords
[credentials-test]
 authname = fred
password=pass \\sword\\n

[credentials-prod]
authname=bar

[auth-libvirt-test1.example.com]
credentials=test
[auth-libvirt-default]
credentials=prod
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "auth.conf"
    path.write_text(GOOD)
    return path


def test_authfile_values_by_host(path: Path) -> None:
    test = AuthFile(str(path), "test1.example.com")
    assert (test.get("authname"), test.get("password")) == ("fred", "pass  word\n")
    assert AuthFile(str(path), "elsewhere").get("authname") == "bar"
    assert AuthFile(str(path), "elsewhere").get("password") is None


def test_authfile_nothing_for_this_host(path: Path) -> None:
    path.write_text("[auth-libvirt-a]\ncredentials=x\n")
    assert AuthFile(str(path), "b").get("authname") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "[auth-libvirt-default]\ncredentials=x\n",
            "Missing group 'credentials-x' referenced from group 'auth-libvirt-default' in '{}'",
        ),
        (
            "[auth-libvirt-default]\nx=y\n",
            "Missing item 'credentials' in group 'auth-libvirt-default' in '{}'",
        ),
        ("garbage\n", "{}:1: expected [group] or name=value"),
        ("a=b\n", "{}:1: expected [group] or name=value"),
        ("[g]\na=\\q\n", "{}:2: unknown escape '\\q'"),
    ],
)
def test_authfile_complaints(path: Path, text: str, complaint: str) -> None:
    path.write_text(text)
    with pytest.raises(VirError) as caught:
        AuthFile(str(path), "h")
    assert (caught.value.code, caught.value.domain) == (c.VIR_ERR_CONF_SYNTAX, c.VIR_FROM_NONE)
    assert caught.value.str2 == complaint.format(path)


def test_authfile_that_is_named_must_exist() -> None:
    with pytest.raises(VirError, match="cannot read '/nonexistent': No such file"):
        AuthFile("/nonexistent", "h")


def test_authfile_is_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(None) is None
    system, user = tmp_path / "etc" / "auth.conf", tmp_path / "config" / "libvirt" / "auth.conf"
    for file in (system, user):
        file.parent.mkdir(parents=True)
        file.touch()
        assert locate(None) == str(file)
    monkeypatch.setenv("LIBVIRT_AUTH_FILE", "/env")
    assert locate(None) == "/env"
    assert locate("/uri") == "/uri"


def test_credentials_ask_only_for_what_the_file_lacks(path: Path) -> None:
    asked: list[int] = []

    def callback(questions: Any, opaque: Any) -> int:
        for question in questions:
            asked.append(question[0])
            question[4] = "told"
        return 0

    options = Options("unix", "", "", authfile=str(path))
    credentials = Credentials([[AUTHNAME, PASSPHRASE], callback, None], options)
    assert credentials.obtain((AUTHNAME, PASSPHRASE)) == {AUTHNAME: "bar", PASSPHRASE: "told"}
    assert asked == [PASSPHRASE]
    credentials.obtain((AUTHNAME, PASSPHRASE))
    assert asked == [PASSPHRASE]


def test_credentials_password_may_be_a_prompt_without_echo() -> None:
    def callback(questions: Any, opaque: Any) -> int:
        ((kind, prompt, challenge, default, result),) = questions
        assert (kind, challenge, default, result) == (7, "Password", None, None)
        assert prompt == "Please enter your password"
        questions[0][4] = "secret"
        return 0

    credentials = Credentials([[7], callback, None], Options("unix", "", ""))
    assert credentials.offers(PASSPHRASE)
    assert not credentials.offers(AUTHNAME)
    assert credentials.obtain((AUTHNAME, PASSPHRASE)) == {PASSPHRASE: "secret"}
