# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_sasl.py: SASL mechanisms by the examples of their RFCs, and against a server of our own."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.drivers.remote import sasl
from libvirtcore.drivers.remote.credentials import (
    AUTHNAME,
    PASSPHRASE,
    REALM,
    USERNAME,
    Credentials,
)
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import Options
from libvirtcore.drivers.remote.sasl_digest import DigestMd5, directives
from libvirtcore.drivers.remote.sasl_mechanism import Mechanism, Plain
from libvirtcore.drivers.remote.sasl_scram import (
    Scram,
    ScramSha1,
    ScramSha256,
    ScramSha512,
    saslprep,
)
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c

USER: dict[int, str] = {AUTHNAME: "user", PASSPHRASE: "pencil"}


def with_nonce(kind: type[Scram], nonce: str, credentials: dict[int, str] = USER) -> Scram:
    mechanism = kind(credentials, "localhost")
    mechanism.make_nonce = lambda: nonce  # type: ignore[method-assign]
    return mechanism


# --- the examples of the RFCs ---------------------------------------------------------------------


def test_scram_sha_1_of_rfc_5802() -> None:
    scram = with_nonce(ScramSha1, "fyko+d2lbbFgONRv9qkxdawL")
    assert scram.start() == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    answer = scram.step(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
    assert answer == (
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    )
    assert not scram.done
    assert scram.step(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b""
    assert scram.done


def test_scram_sha_256_of_rfc_7677() -> None:
    scram = with_nonce(ScramSha256, "rOprNGfwEbeRWgbNEkqO")
    scram.start()
    answer = scram.step(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert answer == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    scram.step(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert scram.done


def test_digest_md5_of_rfc_2831() -> None:
    digest = DigestMd5({AUTHNAME: "chris", PASSPHRASE: "secret"}, "elwood.innosoft.com")
    digest.make_nonce = lambda: b"OA6MHXh6VqTrRk"  # type: ignore[method-assign]
    # The RFC's example is IMAP's; the URI of the digest is ours, so its response differs.
    answer = dict(
        directives(
            digest.step(
                b'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",'
                b"algorithm=md5-sess,charset=utf-8"
            )
        )
    )
    assert answer["digest-uri"] == b"libvirt/elwood.innosoft.com"
    assert answer["realm"] == b"elwood.innosoft.com"
    assert answer["response"] == rfc_2831_response(b"AUTHENTICATE", answer["digest-uri"])
    wrong = b"rspauth=" + rfc_2831_response(b"X", answer["digest-uri"])
    with pytest.raises(VirError, match="does not know the password"):
        digest.step(wrong)
    digest.step(b"rspauth=" + rfc_2831_response(b"", answer["digest-uri"]))
    assert digest.done


def rfc_2831_response(verb: bytes, uri: bytes) -> bytes:
    """Section 2.1.2.1, written down once more; with the RFC's URI it gives the RFC's value."""

    def md5(data: bytes) -> bytes:
        return hashlib.md5(data).digest()

    a1 = md5(b"chris:elwood.innosoft.com:secret") + b":OA6MG9tEQGm2hh:OA6MHXh6VqTrRk"
    a2 = md5(verb + b":" + uri).hex().encode()
    middle = b":OA6MG9tEQGm2hh:00000001:OA6MHXh6VqTrRk:auth:"
    return md5(md5(a1).hex().encode() + middle + a2).hex().encode()


def test_digest_md5_formula_is_that_of_the_rfc() -> None:
    uri = b"imap/elwood.innosoft.com"
    assert rfc_2831_response(b"AUTHENTICATE", uri) == b"d388dad90d4bbd760a152321f2143af7"
    assert rfc_2831_response(b"", uri) == b"ea40f60335c427b5527b84dbabcdfffd"


def test_digest_md5_takes_the_realm_it_is_told() -> None:
    digest = DigestMd5({AUTHNAME: 'a"b', PASSPHRASE: "p", REALM: "two"}, "h")
    answer = digest.step(b'realm="one",realm="two",nonce="n",algorithm=md5-sess')
    assert dict(directives(answer))["realm"] == b"two"
    assert dict(directives(answer))["username"] == b'a"b'


@pytest.mark.parametrize(
    "challenge",
    [b"", b"garbage", b'nonce="n"', b'nonce="n",algorithm=md5-sess,qop="auth-int"', b'nonce="n'],
)
def test_digest_md5_refuses_nonsense(challenge: bytes) -> None:
    with pytest.raises(VirError, match="DIGEST-MD5"):
        DigestMd5(USER, "h").step(challenge)


def test_plain_of_rfc_4616() -> None:
    plain = Plain({AUTHNAME: "Kurt", PASSPHRASE: "xipj3plmq", USERNAME: "Ursel"}, "h")
    assert plain.start() == b"Ursel\0Kurt\0xipj3plmq"
    assert plain.done
    with pytest.raises(VirError, match="NUL"):
        Plain({AUTHNAME: "a\0b", PASSPHRASE: "x"}, "h").start()


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("", ""),
    ],
)
def test_saslprep_of_rfc_4013(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "\ue000", "\ud7ff\ufffd"])
def test_saslprep_forbids(text: str) -> None:
    with pytest.raises(VirError):
        saslprep(text)


# --- a server -------------------------------------------------------------------------------------


class Server:
    """RFC 5802 from the other side, answering the three SASL procedures."""

    def __init__(self, kind: type[Scram], mechanisms: str = "") -> None:
        self.digest = kind.digest
        self.mechanisms = mechanisms or kind.name
        self.iterations = 4096
        self.final_in_step = False  # send the last message before saying that all is complete
        self.tamper: Callable[[bytes], bytes] = lambda data: data
        self.log: list[int] = []

    def call(self, procedure: int, args: Any) -> Any:
        self.log.append(procedure)
        if procedure == 67:
            return (self.mechanisms,)
        if procedure == 68:
            _mech, nil, data = args
            assert not nil
            return (0, 0, self.tamper(self._challenge(data)))
        if len(self.log) == 4:
            return (1, 1, b"")
        signature = self._check(args[1])
        return (int(not self.final_in_step), 0, self.tamper(b"v=" + base64.b64encode(signature)))

    def _challenge(self, first: bytes) -> bytes:
        self.header, self.bare = first.split(b"n=", 1)[0], b"n=" + first.split(b"n=", 1)[1]
        nonce = self.bare.split(b"r=")[1] + b"SERVER"
        salt = base64.b64encode(b"salt")
        self.challenge = b"r=%s,s=%s,i=%d" % (nonce, salt, self.iterations)
        return self.challenge

    def _check(self, final: bytes) -> bytes:
        without, proof = final.rsplit(b",p=", 1)
        assert without.startswith(b"c=" + base64.b64encode(self.header))
        salted = hashlib.pbkdf2_hmac(self.digest, b"pencil", b"salt", self.iterations)
        key = hmac.digest(salted, b"Client Key", self.digest)
        stored = hashlib.new(self.digest, key).digest()
        signed = b",".join((self.bare, self.challenge, without))
        signature = hmac.digest(stored, signed, self.digest)
        recovered = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.new(self.digest, recovered).digest() != stored:
            raise VirError(c.VIR_ERR_AUTH_FAILED, c.VIR_FROM_RPC, "authentication failed")
        return hmac.digest(hmac.digest(salted, b"Server Key", self.digest), signed, self.digest)


class Asker:
    """The caller's callback; remembers the questions."""

    def __init__(self, answers: dict[int, str], result: int = 0) -> None:
        self.answers = answers
        self.result = result
        self.questions: list[int] = []

    @property
    def auth(self) -> list[Any]:
        return [[1, 2, 5, 8], self, "opaque"]

    def __call__(self, questions: Any, opaque: Any) -> int:
        assert opaque == "opaque"
        for question in questions:
            self.questions.append(question[0])
            question[4] = self.answers.get(question[0])
        return self.result


def negotiate(
    server: Server, asker: Asker | None, wanted: str | None = None, secure: bool = True
) -> None:
    options = Options("unix", "test", "test:///default")
    credentials = Credentials(asker.auth if asker else None, options)
    sasl.authenticate(server.call, Link(-1, secure=secure), wanted, credentials)


@pytest.mark.parametrize("kind", [ScramSha1, ScramSha256, ScramSha512])
@pytest.mark.parametrize("final_in_step", [False, True])
def test_scram_with_a_server(kind: type[Scram], final_in_step: bool) -> None:
    server = Server(kind)
    server.final_in_step = final_in_step
    asker = Asker(USER)
    negotiate(server, asker)
    assert asker.questions == [1, 2, 5]
    assert server.log == [67, 68, 69] + [69] * final_in_step


def test_scram_with_a_name_full_of_signs() -> None:
    scram = with_nonce(ScramSha256, "n", {AUTHNAME: "a=b,c", PASSPHRASE: "x", USERNAME: "x,y"})
    assert scram.start() == b"n,a=x=2Cy,n=a=3Db=2Cc,r=n"


def test_scram_wrong_password_is_the_servers_word() -> None:
    with pytest.raises(VirError, match=r"^authentication failed$"):
        negotiate(Server(ScramSha256), Asker({2: "user", 5: "wrong"}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"r=", b"r=x") if data[:2] == b"r=" else data,
        lambda data: data.replace(b"SERVER", b""),
        lambda data: data.replace(b"i=4096", b"i=0"),
        lambda data: data.replace(b"i=4096", b"i=999999999"),
        lambda data: data.replace(b"s=", b"s=!"),
        lambda data: b"m=ext," + data if data[:2] == b"r=" else data,
        lambda data: b"v=" + base64.b64encode(bytes(32)) if data[:2] == b"v=" else data,
        lambda data: b"e=other-error" if data[:2] == b"v=" else data,
        lambda data: b"" if data[:2] == b"v=" else data,
        lambda data: b"",
    ],
)
def test_scram_server_that_lies_is_not_believed(spoil: Any) -> None:
    server = Server(ScramSha256)
    server.tamper = spoil
    with pytest.raises(VirError) as caught:
        negotiate(server, Asker(USER))
    assert caught.value.code == c.VIR_ERR_AUTH_FAILED


def test_sasl_server_that_never_ends() -> None:
    server = Server(ScramSha256)
    server.call = lambda procedure, args: (  # type: ignore[method-assign]
        ("PLAIN",) if procedure == 67 else (0, 0, b"more")
    )
    with pytest.raises(VirError):
        negotiate(server, Asker(USER))


def choice(offered: str, wanted: str | None = None, secure: bool = True) -> type[Mechanism]:
    credentials = Credentials(Asker(USER).auth, Options("unix", "", ""))
    return sasl.choose(offered.split(","), wanted, Link(-1, secure=secure), credentials)


def test_sasl_choice_of_the_best() -> None:
    assert choice("PLAIN,SCRAM-SHA-1,SCRAM-SHA-256") is ScramSha256
    assert choice("DIGEST-MD5,PLAIN") is Plain
    assert choice("SCRAM-SHA-512,PLAIN", "PLAIN") is Plain
    assert choice("DIGEST-MD5", "DIGEST-MD5") is DigestMd5


@pytest.mark.parametrize(
    ("offered", "wanted", "secure"),
    [
        ("SCRAM-SHA-512,PLAIN", None, False),
        ("DIGEST-MD5", None, True),
        ("DIGEST-MD5", "DIGEST-MD5", False),
        ("CRAM-MD5,NTLM", None, True),
    ],
)
def test_sasl_choice_refused(offered: str, wanted: str | None, secure: bool) -> None:
    with pytest.raises(VirError, match=r"-4 \(SASL\(-4\): no mechanism available") as caught:
        choice(offered, wanted, secure)
    assert offered.split(",")[0] in (caught.value.str3 or "")


def test_sasl_mechanism_of_the_uri_must_be_offered() -> None:
    with pytest.raises(VirError, match="SASL mechanism scram-sha-256 not supported by server"):
        choice("SCRAM-SHA-256", "scram-sha-256")


def test_sasl_needs_credentials() -> None:
    with pytest.raises(VirError, match="No worthy mechs found"):
        negotiate(Server(ScramSha256), None)
    with pytest.raises(VirError, match="Failed to collect auth credentials"):
        negotiate(Server(ScramSha256), Asker(USER, result=-1))
    with pytest.raises(VirError, match="no password was given"):
        negotiate(Server(ScramSha256), Asker({2: "user"}))
    with pytest.raises(VirError, match="no authentication name was given"):
        negotiate(Server(ScramSha256), Asker({2: " ", 5: "x"}))


def test_gssapi_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.setattr(sasl, "find_spec", lambda name: None)
    with pytest.raises(VirError, match=r"pip install 'libvirtcore\[gssapi\]'") as caught:
        negotiate(Server(ScramSha256, "GSSAPI"), None, secure=False)
    assert caught.value.code == c.VIR_ERR_AUTH_FAILED
    assert choice("GSSAPI,PLAIN") is Plain
