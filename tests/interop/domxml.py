# SPDX-License-Identifier: LGPL-2.1-or-later
"""domxml.py: what the real libvirtd makes of every document of domains/, recorded and compared.

Each document is defined and dumped (inactive, secure) and turned into QEMU's command line
(domxml-to-native). Records are domains/expected/NAME.xml, NAME.argv and, for everything that
failed, one line of errors.json. Values that are random by nature become constants (`normalise`).
`python -m tests.interop.domxml record [NAME…]` records anew, `check` tells what would change.
AARCH64_QEMU=FOLDER lets the private machine see a qemu-system-aarch64 that is not installed.
Called by: people, tests of the XML model, of the QEMU driver's defaults and of its command line.
Calls: daemon.py. Never: imports libvirtcore.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENTS = Path(__file__).with_name("domains")
EXPECTED = DOCUMENTS / "expected"
ERRORS = EXPECTED / "errors.json"

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
MAC = re.compile(r"52:54:00(?::[0-9a-f]{2}){3}")
# What differs each time in a command line: descriptors of taps, the time, encrypted secrets.
VOLATILE = (
    (re.compile(r'"type":"tap","fd":"\d+"'), '"type":"tap","fd":"3"'),
    (re.compile(r'"(data|iv)":"[A-Za-z0-9+/]+=*"'), r'"\1":"AAAA"'),
    (re.compile(r"-rtc base=2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d"), "-rtc base=2026-01-02T03:04:05"),
)
TOKEN = re.compile(r"(?:[^\s']|'[^']*')+")

# Documents whose command line is not asked for: libvirtd 9.0 reads freed memory for an interface
# that is a device of the host, and ends or answers at random.
UNASKED = frozenset({"interface-hostdev", "interface-teaming"})

# Runs under the real python3-libvirt, fed with [name, document, whether to ask for argv]…
ORACLE = """
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *a: None, None)
conn = libvirt.open(sys.argv[1])
def attempt(call, *args):
    try:
        return {"value": call(*args)}
    except libvirt.libvirtError as e:
        return {"error": [e.get_error_code(), e.get_error_domain(), e.get_error_message()]}
def define(text):
    dom = conn.defineXML(text)
    try:
        return dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    finally:
        dom.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
for name, text, native in json.load(sys.stdin):
    xml = attempt(define, text)
    argv = attempt(conn.domainXMLToNative, "qemu-argv", text, 0) if native else {}
    print(json.dumps([name, xml, argv]), flush=True)
    if not conn.isAlive():
        break
"""

Failure = tuple[int, int, str]


@dataclass(frozen=True)
class Record:
    """What came of one document: a text or an error for each of the two questions."""

    xml: str | None
    argv: str | None
    xml_error: Failure | None = None
    argv_error: Failure | None = None


def names() -> list[str]:
    return sorted(path.stem for path in DOCUMENTS.glob("*.xml"))


def document(name: str) -> str:
    return (DOCUMENTS / f"{name}.xml").read_text()


def normalise(text: str, source: str) -> str:
    """`text` with the identities that `source` does not state replaced by counted constants."""
    given = source.lower()
    seen: dict[str, str] = {}

    def constant(found: re.Match[str], form: str) -> str:
        value = found.group()
        if value in given:
            return value
        number = 1 + sum(other[:8] == form[:8] for other in seen.values())
        return seen.setdefault(value, form.format(number))

    text = UUID.sub(lambda found: constant(found, "00000000-0000-4000-8000-{:012x}"), text)
    text = MAC.sub(lambda found: constant(found, "52:54:00:ff:ff:{:02x}"), text)
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return text


def split_command(line: str) -> str:
    """A shell line of domxml-to-native, one option a line; shlex.split still takes it."""
    words = TOKEN.findall(line)
    return "".join(("\n" if word[0] == "-" else " ") + word for word in words).strip() + "\n"


def recorded(name: str) -> Record:
    """The committed record of a document."""
    failures = errors().get(name, {})

    def text(suffix: str) -> str | None:
        path = EXPECTED / f"{name}{suffix}"
        return path.read_text() if path.exists() else None

    def failure(kind: str) -> Failure | None:
        found = failures.get(kind)
        return None if found is None else (int(found[0]), int(found[1]), str(found[2]))

    return Record(text(".xml"), text(".argv"), failure("xml"), failure("argv"))


def errors() -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = {}
    if ERRORS.exists():
        found = json.loads(ERRORS.read_text())
    return found


def ask(uri: str, wanted: Iterable[str], python: str = "/usr/bin/python3") -> dict[str, Record]:
    """What the daemon at `uri` answers for each document."""
    sources = {name: document(name) for name in wanted}
    done = subprocess.run(
        [python, "-c", ORACLE, uri],
        input=json.dumps([(n, text, n not in UNASKED) for n, text in sources.items()]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers = {}
    for line in done.stdout.splitlines():
        name, xml, argv = json.loads(line)
        source = sources[name]
        texts: list[str | None] = []
        failures: list[Failure | None] = []
        for answer in (xml, argv):
            value, failed = answer.get("value"), answer.get("error")
            texts.append(None if value is None else normalise(value, source))
            if failed is None:
                failures.append(None)
            else:
                failures.append((failed[0], failed[1], normalise(failed[2], source)))
        if texts[1] is not None:
            texts[1] = split_command(texts[1])
        answers[name] = Record(texts[0], texts[1], failures[0], failures[1])
    return answers


def oracle(wanted: list[str]) -> dict[str, Record]:
    """The answers of a real libvirtd on a private machine."""
    from tests.interop.daemon import PATH, Daemon

    with Daemon() as daemon:
        folder = os.environ.get("AARCH64_QEMU")
        if folder:
            layers = f"lowerdir={folder}:/usr/bin"
            mount = ["mount", "-t", "overlay", "overlay", "-o", layers, "/usr/bin"]
            daemon.machine.run(mount, env={"PATH": PATH})
        answers: dict[str, Record] = {}
        while left := [name for name in wanted if name not in answers]:
            if answers:
                daemon.start()  # a document made the real daemon end: that is its record
            answers |= ask(daemon.uri("qemu"), left)
        return answers


def save(answers: dict[str, Record]) -> None:
    EXPECTED.mkdir(exist_ok=True)
    failures = {name: value for name, value in errors().items() if name not in answers}
    for name, record in answers.items():
        for suffix, text in ((".xml", record.xml), (".argv", record.argv)):
            path = EXPECTED / f"{name}{suffix}"
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(text)
        failed = {"xml": record.xml_error, "argv": record.argv_error}
        kept = {kind: list(value) for kind, value in failed.items() if value is not None}
        if kept:
            failures[name] = kept
    present = set(names())
    for path in EXPECTED.iterdir():
        if path.suffix in (".xml", ".argv") and path.stem not in present:
            path.unlink()
    kept_names = sorted(present & failures.keys())
    lines = [f"{json.dumps(name)}: {json.dumps(failures[name])}" for name in kept_names]
    ERRORS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in ("record", "check"):
        print(__doc__, file=sys.stderr)
        return 2
    wanted = arguments[1:] or names()
    answers = oracle(wanted)
    if arguments[0] == "record":
        save(answers)
        return 0
    changed = [name for name in wanted if answers[name] != recorded(name)]
    print("\n".join(changed) or "nothing changed")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
