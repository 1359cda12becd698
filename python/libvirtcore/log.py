# SPDX-License-Identifier: LGPL-2.1-or-later
"""log.py: LIBVIRT_DEBUG, LIBVIRT_LOG_FILTERS, LIBVIRT_LOG_OUTPUTS, and one line per RPC.

    LIBVIRT_DEBUG=1                      all to stderr (1 debug, 2 info, 3 warning, 4 error)
    LIBVIRT_LOG_FILTERS="1:rpc 3:events" a level for sources whose name matches (* is allowed)
    LIBVIRT_LOG_OUTPUTS="1:file:/tmp/l 4:syslog:myapp 3:journald 2:stderr"

A message passes when its level reaches that of the first filter matching its source (else the
default: LIBVIRT_DEBUG, or 3); each output then takes what reaches its own level.

Tracing RPC: both clients read `trace_rpc` once, when they are made. None means nobody listens, and
then a call pays one test of a local attribute (the C client: nothing). Otherwise, after each call,

    trace_rpc(program, procedure, serial, status, bytes sent, bytes received, microseconds)

with status "ok", "error" (the peer sent one), "closed" (the connection broke) or "abandoned"
(deadline, cancelled or interrupted).
Called by: every room (`log(level, source, text)`), both RPC clients (`trace_rpc`).
Never: raises because a log cannot be written; costs anything while no variable is set, which is
why some imports stand in functions.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

DEBUG, INFO, WARNING, ERROR = 1, 2, 3, 4
_NAMES = {DEBUG: "debug", INFO: "info", WARNING: "warning", ERROR: "error"}
_LEVELS = {str(level): level for level in _NAMES} | {name: level for level, name in _NAMES.items()}
_SYSLOG = {DEBUG: 7, INFO: 6, WARNING: 4, ERROR: 3}  # syslog's severities
_JOURNAL = "/run/systemd/journal/socket"

Tracer = Callable[[int, int, int, str, int, int, int], None]
Write = Callable[[int, str, str], None]  # level, source, text


class Output(NamedTuple):
    level: int
    write: Write


class Settings(NamedTuple):
    """What the three variables say; `outputs` is empty when nothing shall be logged."""

    default: int = WARNING
    filters: tuple[tuple[int, str], ...] = ()
    outputs: tuple[Output, ...] = ()

    def level(self, source: str) -> int:
        """The lowest level that passes for a source."""
        from fnmatch import fnmatchcase

        for level, pattern in self.filters:
            if fnmatchcase(source, pattern):
                return level
        return self.default


# --- the variables --------------------------------------------------------------------------------


def read_settings(environ: Mapping[str, str]) -> Settings:
    """What the environment asks for. Senseless parts are skipped, with a word on stderr."""
    debug = environ.get("LIBVIRT_DEBUG", "")
    filters = environ.get("LIBVIRT_LOG_FILTERS", "").split()
    outputs = environ.get("LIBVIRT_LOG_OUTPUTS", "").split()
    if not (debug or filters or outputs):
        return Settings()
    default = _LEVELS.get(debug, WARNING)
    if debug and debug not in _LEVELS:
        _complain(f"LIBVIRT_DEBUG: '{debug}' is not a level")
    read_filters = tuple(filter(None, map(_filter, filters)))
    read_outputs = tuple(filter(None, map(_output, outputs)))
    if not read_outputs:
        read_outputs = (Output(DEBUG, _write_stderr),)
    return Settings(default, read_filters, read_outputs)


def _filter(text: str) -> tuple[int, str] | None:
    level, _, name = text.partition(":")
    name = name.removeprefix("+")  # once asked for a stack trace
    if level not in _LEVELS or not name:
        _complain(f"LIBVIRT_LOG_FILTERS: '{text}' is not LEVEL:NAME")
        return None
    return _LEVELS[level], name if "*" in name else f"*{name}*"


def _output(text: str) -> Output | None:
    level, _, rest = text.partition(":")
    kind, _, detail = rest.partition(":")
    write: Write | None = None
    if kind == "stderr" and not detail:
        write = _write_stderr
    elif kind == "file" and os.path.isabs(detail):
        write = _file_writer(detail)
    elif kind == "syslog":
        write = _syslog_writer(detail or "libvirt")
    elif kind == "journald" and not detail:
        write = _journal_writer()
    if level not in _LEVELS or write is None:
        _complain(f"LIBVIRT_LOG_OUTPUTS: '{text}' cannot be used")
        return None
    return Output(_LEVELS[level], write)


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"libvirt: {text}\n")


# --- outputs --------------------------------------------------------------------------------------


def _line(level: int, source: str, text: str) -> str:
    now = time.time()
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    thread = _thread_id()
    return (
        f"{moment}.{int(now * 1000) % 1000:03}+0000: {thread}: {_NAMES[level]} : {source} : {text}"
    )


def _thread_id() -> int:
    import threading

    return threading.get_native_id()


def _write_stderr(level: int, source: str, text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(_line(level, source, text) + "\n")


def _file_writer(path: str) -> Write | None:
    try:
        fd = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600
        )
    except OSError:
        return None

    def write(level: int, source: str, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(fd, (_line(level, source, text) + "\n").encode("utf-8", "replace"))

    return write


def _syslog_writer(name: str) -> Write | None:
    try:
        import syslog
    except ImportError:  # Windows
        return None

    def write(level: int, source: str, text: str) -> None:
        syslog.openlog(name, syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(_SYSLOG[level], f"{source} : {text}".replace("\0", ""))

    return write


def _journal_writer() -> Write | None:
    import socket

    if not hasattr(socket, "AF_UNIX"):
        return None

    def write(level: int, source: str, text: str) -> None:
        message = (
            f"MESSAGE={text.replace(chr(10), ' ')}\nPRIORITY={_SYSLOG[level]}\n"
            f"LIBVIRT_SOURCE={source}\nSYSLOG_IDENTIFIER=libvirt\n"
        ).encode("utf-8", "replace")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(message, _JOURNAL)

    return write


# --- what the rooms use ---------------------------------------------------------------------------

settings = Settings()
trace_rpc: Tracer | None = None


def log(level: int, source: str, text: str) -> None:
    """One message of a room; `source` is its module path below libvirtcore ("rpc.client")."""
    if settings.outputs and level >= settings.level(source):
        for output in settings.outputs:
            if level >= output.level:
                output.write(level, source, text)


def enabled(level: int, source: str) -> bool:
    """Whether anybody would see it, for messages that are dear to make."""
    return level >= settings.level(source) and any(level >= out.level for out in settings.outputs)


def configure(environ: Mapping[str, str]) -> None:
    """Use these settings from now on; clients that exist already keep their tracer."""
    global settings, trace_rpc
    settings = read_settings(environ)
    trace_rpc = _trace_rpc if enabled(DEBUG, "rpc.client") else None


def _trace_rpc(
    program: int, proc: int, serial: int, status: str, sent: int, received: int, micros: int
) -> None:
    text = f"serial={serial} {_procedure_name(program, proc)} {status}"
    log(DEBUG, "rpc.client", f"{text} sent={sent} received={received} us={micros}")


def _procedure_name(program: int, proc: int) -> str:
    from libvirtcore.generated.tables import PROGRAMS

    known = PROGRAMS.get(program)
    procedure = known.procedures[proc] if known and 0 < proc < len(known.procedures) else None
    return f"{known.name}.{procedure.name}" if known and procedure else f"{program:#x}.{proc}"


configure(os.environ)
