# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_config.py: libvirtd.conf: every setting, its type, what is refused and what is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libvirtcore import conf_file
from libvirtd import config
from libvirtd.fatal import Fatal
from tests.ours_daemon import REPOSITORY

SHIPPED = REPOSITORY / "contrib" / "libvirtd.conf"
# What Debian's libvirt 9.0 documents.
_NAMES = """
    listen_tls listen_tcp tls_port tcp_port listen_addr unix_sock_group unix_sock_ro_perms
    unix_sock_rw_perms unix_sock_admin_perms unix_sock_dir auth_unix_ro auth_unix_rw auth_tcp
    auth_tls tcp_min_ssf access_drivers key_file cert_file ca_file crl_file
    tls_no_sanity_certificate tls_no_verify_certificate tls_allowed_dn_list tls_priority
    sasl_allowed_username_list max_clients max_queued_clients max_anonymous_clients min_workers
    max_workers prio_workers max_client_requests admin_min_workers admin_max_workers
    admin_max_clients admin_max_queued_clients admin_max_client_requests log_level log_filters
    log_outputs audit_level audit_logging host_uuid host_uuid_source keepalive_interval
    keepalive_count keepalive_required admin_keepalive_required admin_keepalive_interval
    admin_keepalive_count ovs_timeout
"""
DOCUMENTED = _NAMES.split()


def read(text: str) -> config.Config:
    return config.read(text, "/etc/c.conf")


def test_every_documented_setting_is_known() -> None:
    assert set(config.SETTINGS) == set(DOCUMENTED)


def test_the_shipped_file_explains_every_setting_with_its_default() -> None:
    shown = re.findall(r"^#(\w+) = (.*)$", SHIPPED.read_text(), re.MULTILINE)
    text = "".join(f"{name} = {value}\n" for name, value in shown)
    given = conf_file.parse(text, str(SHIPPED))
    assert len(shown) == len(given), "a setting stands twice"
    assert {k: int(v) if isinstance(v, bool) else v for k, v in config.SETTINGS.items()} == given
    assert "\n\n#" not in re.sub(r"\n\n# ", "", SHIPPED.read_text()), "a setting without a word"


def test_the_shipped_file_changes_nothing() -> None:
    shipped = config.load(str(SHIPPED), must_exist=True)
    assert (shipped.given, shipped.unknown) == (frozenset(), ())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_setting_is_read(name: str) -> None:
    default = config.SETTINGS[name]
    value: object
    if isinstance(default, bool):
        text, value = str(int(not default)), not default
    elif isinstance(default, int):
        text, value = "200", 200
    elif isinstance(default, str):
        text, value = ('"none"', "none") if name.startswith("auth") else ('"a b"', "a b")
    else:
        text, value = '["a", "b"]', ["a", "b"]
    found = read(f"{name} = {text}\n")
    assert getattr(found, name) == value
    assert found.given == {name}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_setting_refuses_another_type(name: str) -> None:
    default = config.SETTINGS[name]
    if isinstance(default, bool):
        wrong, wanted = '"x"', "bool"
    elif isinstance(default, int):
        wrong, wanted = '"x"', "signed integer"
        if name not in ("keepalive_interval", "admin_keepalive_interval"):
            wanted = "unsigned integer"
    elif isinstance(default, str):
        wrong, wanted = "1", "string"
    else:
        wrong, wanted = '"x"', "string list"
    with pytest.raises(Fatal) as caught:
        read(f"{name} = {wrong}\n")
    assert caught.value.status == 1
    assert (
        caught.value.text == "Can't load config file: internal error: /etc/c.conf: expected a"
        f"{'n' if wanted.startswith('u') else ''} {wanted} for '{name}' parameter: /etc/c.conf"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen_tcp = 2", "value for 'listen_tcp' parameter must be 0 or 1"),
        ("max_clients = -1", "expected an unsigned integer for 'max_clients' parameter"),
        ("max_clients = 4294967296", "expected an unsigned integer for 'max_clients'"),
        ("keepalive_interval = 2147483648", "expected a signed integer for 'keepalive_interval'"),
        ("max_workers = 0", "internal error: 'max_workers' must be greater than 0"),
        ('auth_tcp = "x"', "unsupported configuration: /etc/c.conf: auth_tcp: unsupported auth x"),
        ("tcp_min_ssf = 10", "minimum SSF levels lower than 112 are not supported"),
        ("= 1", "configuration file syntax error: /etc/c.conf:1: expecting a name"),
        ("min_workers = 5.5", "/etc/c.conf:1: expecting a separator"),
        ('access_drivers = ["a", 1]', "expected a string list for 'access_drivers'"),
    ],
)
def test_what_libvirt_refuses_is_refused_alike(text: str, message: str) -> None:
    with pytest.raises(Fatal) as caught:
        read(text + "\n")
    assert message in caught.value.text
    assert caught.value.text.startswith("Can't load config file: ")
    assert caught.value.status == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen_tls = 1", "listen_tls = 1: TLS for clients is not built"),
        ('auth_unix_rw = "sasl"', 'auth_unix_rw = "sasl": SASL for clients is not built'),
        ('auth_unix_ro = "sasl"', 'auth_unix_ro = "sasl": SASL for clients is not built'),
        ("listen_tcp = 1", 'auth_tcp = "sasl": only "none" is built for TCP'),
        ('listen_tcp = 1\nauth_tcp = "polkit"', 'auth_tcp = "polkit": only "none" is built'),
        ('access_drivers = ["polkit"]', "access_drivers = ['polkit']: no access driver is built"),
        ("audit_level = 2", "audit_level = 2: auditing is not built"),
        ("audit_logging = 1", "audit_logging = 1: auditing is not built"),
    ],
)
def test_protection_that_is_not_built_is_refused(text: str, message: str) -> None:
    with pytest.raises(Fatal) as caught:
        config.refuse_unbuilt(read(text + "\n"), tcp=True)
    assert caught.value.status == 1
    assert message in caught.value.text


def test_tcp_settings_count_only_with_listen() -> None:
    config.refuse_unbuilt(read("listen_tls = 1\nlisten_tcp = 1\n"), tcp=False)


def test_fewer_clients_than_anonymous_ones_are_refused_with_libvirts_status() -> None:
    with pytest.raises(
        Fatal, match="must not be less than the number of clients waiting"
    ) as caught:
        config.refuse_unbuilt(read("max_clients = 10\n"), tcp=False)
    assert caught.value.status == 3


def test_settings_without_effect_are_named() -> None:
    said = config.ineffective(read("admin_max_clients = 3\nfoo = 1\novs_timeout = 9\n"))
    assert [s.split("'")[1] for s in said] == ["foo", "admin_max_clients", "ovs_timeout"]
    assert config.ineffective(config.Config()) == []


def test_polkit_opens_the_socket_to_all_unless_told_otherwise() -> None:
    assert config.Config().rw_mode == 0o700
    assert read('auth_unix_rw = "polkit"\n').rw_mode == 0o777
    assert read('auth_unix_rw = "polkit"\nunix_sock_rw_perms = "0770"\n').rw_mode == 0o770


@pytest.mark.parametrize("mode", ["0999", "abc", "", "77777777", "-7"])
def test_a_mode_is_octal(mode: str) -> None:
    with pytest.raises(Fatal, match=re.escape(f"Failed to parse mode '{mode}'")) as caught:
        _ = read(f'unix_sock_ro_perms = "{mode}"\n').ro_mode
    assert caught.value.status == 6


def test_a_file_that_is_not_there_means_the_defaults(tmp_path: Path) -> None:
    assert config.load(str(tmp_path / "x"), must_exist=False).given == frozenset()
    with pytest.raises(Fatal, match="No such file or directory"):
        config.load(str(tmp_path / "x"), must_exist=True)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(Fatal, match="File too large"):
        config.load(str(path), must_exist=True)


@pytest.mark.parametrize(
    "name", ["max_clients", "max_queued_clients", "max_client_requests", "keepalive_count"]
)
def test_the_largest_numbers_of_the_file_suit_the_server(name: str) -> None:
    from libvirtcore.core_server import Server
    from libvirtd.daemon import limits

    Server(limits(config.read(f"{name} = 4294967295\n", "x.conf")))
