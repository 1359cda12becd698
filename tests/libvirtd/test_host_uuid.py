# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_host_uuid.py: which texts are a host's UUID, and where it comes from without a setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libvirtcore import host_uuid
from libvirtd import main, options, paths
from libvirtd.fatal import Fatal

GOOD = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    before = host_uuid._uuid, host_uuid._source
    yield
    host_uuid._uuid, host_uuid._source = before


@pytest.mark.parametrize(
    "text", [GOOD, GOOD.replace("-", ""), f" {GOOD}\n", GOOD.upper(), GOOD.replace("-", " ")]
)
def test_a_uuid_is_normalized(text: str) -> None:
    assert host_uuid.normalize(text) == GOOD


@pytest.mark.parametrize(
    "text", ["", "zzz", GOOD[:-1], GOOD + "5", "0" * 32, "1" * 32, "-" * 32, "１" * 32]
)
def test_other_texts_are_none(text: str) -> None:
    assert host_uuid.normalize(text) is None


def test_the_machine_id_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "id").write_text(GOOD.replace("-", "") + "\n")
    monkeypatch.setitem(host_uuid._FILES, "machine-id", str(tmp_path / "id"))
    host_uuid.set_host_uuid(None, "machine-id")
    assert host_uuid.host_uuid() == GOOD


def test_a_host_without_one_keeps_what_it_got(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(host_uuid._FILES, "smbios", "/nonexistent")
    host_uuid.set_host_uuid(None)
    assert host_uuid.normalize(host_uuid.host_uuid()) == host_uuid.host_uuid()
    assert host_uuid.host_uuid() == host_uuid.host_uuid()


def configured(tmp_path: Path, text: str) -> None:
    places = paths.choose(str(tmp_path))
    Path(places.config).parent.mkdir(parents=True, exist_ok=True)
    Path(places.config).write_text(text)
    main._configure(options.read([]), places)


def test_the_setting_wins(tmp_path: Path) -> None:
    configured(tmp_path, f'host_uuid = "{GOOD}"\n')
    assert host_uuid.host_uuid() == GOOD


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('host_uuid = "zzz"\n', "invalid host UUID: zzz"),
        (f'host_uuid = "{"0" * 32}"\n', f"invalid host UUID: {'0' * 32}"),
        ('host_uuid_source = "foo"\n', "invalid UUID source: foo"),
    ],
)
def test_wrong_settings_are_fatal(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Fatal, match=f"Can't setup host uuid: {message}") as caught:
        configured(tmp_path, text)
    assert caught.value.status == 1
