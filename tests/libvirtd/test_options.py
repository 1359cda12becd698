# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_options.py: the command line: what libvirtd understands, and what it says otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from libvirtd import main, options, paths
from libvirtd.fatal import Fatal
from tests.ours_daemon import REPOSITORY


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "libvirtd", *arguments],
        env={"PYTHONPATH": str(REPOSITORY / "python"), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_short_and_long_options_mean_the_same() -> None:
    short = options.read(["-d", "-l", "-v", "-t", "7", "-f", "a", "-p", "b"])
    long = options.read(
        ["--daemon", "--listen", "--verbose", "--timeout=7", "--config", "a", "--pid-file=b"]
    )
    assert vars(short) == vars(long)
    assert (short.daemon, short.listen, short.verbose, short.timeout) == (True, True, True, 7)
    assert (short.config, short.pid_file) == ("a", "b")


def test_unique_beginnings_of_options_are_understood() -> None:
    assert options.read(["--time", "5", "--roo", "/x"]).root == "/x"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-x"], "libvirtd: invalid option -- 'x'"),
        (["--bogus"], "libvirtd: unrecognized option '--bogus'"),
        (["-t"], "libvirtd: option requires an argument -- 't'"),
        (["--config"], "libvirtd: option '--config' requires an argument"),
        (["--listen=1"], "libvirtd: option '--listen' doesn't allow an argument"),
    ],
)
def test_usage_errors_read_like_getopt(arguments: list[str], complaint: str) -> None:
    with pytest.raises(options.Usage) as caught:
        options.read(arguments)
    assert str(caught.value) == complaint


@pytest.mark.parametrize("value", ["abc", "-5", "", "1.5", "99999999999", "٣"])
def test_timeout_is_a_whole_number(value: str) -> None:
    with pytest.raises(Fatal, match="Invalid value for timeout") as caught:
        options.read(["-t", value])
    assert caught.value.status == 1


def test_extra_words_are_refused() -> None:
    with pytest.raises(Fatal, match="unexpected, non-option, command line arguments"):
        options.read(["extra"])


def test_help_names_the_files_of_the_root(tmp_path: Path) -> None:
    done = run("--root", str(tmp_path), "--help")
    assert done.returncode == 0
    assert done.stdout == ""  # libvirt's daemon prints it to stderr too
    assert f"{tmp_path}/etc/libvirt/libvirtd.conf" in done.stderr
    assert f"{tmp_path}/run/libvirt/libvirt-sock-ro" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_version_names_the_program_and_the_interface() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("libvirtd (libvirtcore ")


def test_a_wrong_option_shows_the_help_and_fails() -> None:
    done = run("-x")
    assert done.returncode == 1
    assert done.stderr.startswith("libvirtd: invalid option -- 'x'\n\nUsage:\n")


def test_a_missing_configuration_file_that_was_named_is_fatal(tmp_path: Path) -> None:
    done = run("--root", str(tmp_path), "-f", "/nonexistent")
    assert done.returncode == 1
    assert (
        "Can't load config file: Failed to open file '/nonexistent': No such file or directory"
        in done.stderr
    )


def test_session_paths_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/x/run")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x/config")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x/cache")
    places = paths.choose(None)
    assert places.private
    assert places.config == "/x/config/libvirt/libvirtd.conf"
    assert (places.socket, places.socket_ro) == ("/x/run/libvirt/libvirt-sock", "")
    assert places.pid_file == "/x/run/libvirt/libvirtd.pid"
    assert "$XDG_RUNTIME_DIR/libvirt/libvirt-sock\n" in options.help_text(
        "libvirtd", paths.display(places)
    )


def test_no_system_file_is_touched_by_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    assert "Usage:" in capsys.readouterr().err
