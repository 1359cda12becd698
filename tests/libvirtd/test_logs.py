# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_logs.py: where the log goes: environment, then libvirtd.conf, then a default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libvirtcore import log
from libvirtd import config, logs, paths
from libvirtd.fatal import Fatal
from libvirtd.options import Options


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in logs._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = log.settings, log.trace_rpc
    monkeypatch.setattr(logs, "_used", ())
    yield
    log.settings, log.trace_rpc = before


def configure(text: str, tmp_path: Path, **options: bool) -> None:
    given = Options()
    for name, value in options.items():
        setattr(given, name, value)
    logs.configure(config.read(text, "/etc/c.conf"), given, paths.choose(str(tmp_path)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log_level = 9", "Failed to set logging priority, argument '9' is invalid"),
        ('log_filters = "9:x"', "Invalid priority '9' for filter '9:x'"),
        ('log_filters = "1:"', "Malformed format for filter '1:'"),
        ('log_outputs = "7:stderr"', "Invalid priority '7' for output '7:stderr'"),
        ('log_outputs = "1:foo"', "Invalid log destination 'foo' for log output '1:foo'"),
        ('log_outputs = "1:file:relative"', "Malformed format for log output '1:file:relative'"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(text: str, message: str) -> None:
    with pytest.raises(Fatal) as caught:
        logs.check(config.read(text + "\n", "/etc/c.conf"))
    assert (caught.value.status, caught.value.text) == (1, f"invalid argument: {message}")


def test_good_settings_pass() -> None:
    text = 'log_level = 1\nlog_filters = "1:qemu 4:rpc*"\nlog_outputs = "3:syslog:x 1:journald"\n'
    logs.check(config.read(text, "/etc/c.conf"))


def test_warnings_go_to_stderr_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("", tmp_path)
    log.log(log.WARNING, "daemon", "seen")
    log.log(log.INFO, "daemon", "unseen")
    said = capsys.readouterr().err
    assert "warning : daemon : seen" in said
    assert "unseen" not in said


def test_verbose_shows_information(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure("", tmp_path, verbose=True)
    log.log(log.INFO, "daemon", "seen")
    assert "info : daemon : seen" in capsys.readouterr().err


def test_the_file_decides_over_verbose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure("log_level = 4\n", tmp_path, verbose=True)
    log.log(log.WARNING, "daemon", "unseen")
    assert capsys.readouterr().err == ""


def test_the_environment_decides_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIBVIRT_DEBUG", "1")
    configure("log_level = 4\n", tmp_path)
    log.log(log.DEBUG, "daemon", "seen")
    assert "debug : daemon : seen" in capsys.readouterr().err


def test_filters_choose_by_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure('log_filters = "1:daemon.workers 4:daemon"\n', tmp_path)
    log.log(log.DEBUG, "daemon.workers", "seen")
    log.log(log.WARNING, "daemon", "unseen")
    assert "unseen" not in capsys.readouterr().err


def test_outputs_have_their_own_level(tmp_path: Path) -> None:
    configure(
        f'log_level = 1\nlog_outputs = "1:file:{tmp_path}/all 4:file:{tmp_path}/bad"\n', tmp_path
    )
    log.log(log.DEBUG, "daemon", "small")
    log.log(log.ERROR, "daemon", "big")
    assert "small" in (tmp_path / "all").read_text()
    assert "small" not in (tmp_path / "bad").read_text()
    assert "big" in (tmp_path / "bad").read_text()


def test_in_the_background_it_is_a_private_file(tmp_path: Path) -> None:
    configure("", tmp_path, daemon=True)
    log.log(log.ERROR, "daemon", "kept")
    path = tmp_path / "var" / "log" / "libvirt" / "libvirtd.log"
    assert "kept" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
