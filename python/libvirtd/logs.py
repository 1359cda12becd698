# SPDX-License-Identifier: LGPL-2.1-or-later
"""logs.py: where the daemon's log goes: the environment first, then libvirtd.conf, then a default.

The default in the foreground is stderr; in the background the journal, or a file where there is
none. -v means level 2 where nothing else names one.
Called by: main.py at start, daemon.py on SIGHUP. Calls: libvirtcore.log, which does the writing.
Never: starts with a setting it cannot follow.
"""

from __future__ import annotations

import os

from libvirtcore import log
from libvirtd.fatal import CONFIG, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libvirtd.config import Config
    from libvirtd.options import Options
    from libvirtd.paths import Paths

_JOURNAL = "/run/systemd/journal/socket"
_LEVELS = ("1", "2", "3", "4")
_VARIABLES = ("LIBVIRT_DEBUG", "LIBVIRT_LOG_FILTERS", "LIBVIRT_LOG_OUTPUTS")
_used: tuple[str, ...] = ()


def check(config: Config) -> None:
    """Whether the settings of the file can be followed. Raises: Fatal."""
    if not 0 <= config.log_level <= 4:
        text = f"Failed to set logging priority, argument '{config.log_level}' is invalid"
        raise Fatal(CONFIG, f"invalid argument: {text}")
    for part in config.log_filters.split():
        level, colon, name = part.partition(":")
        if level not in _LEVELS:
            raise Fatal(CONFIG, f"invalid argument: Invalid priority '{level}' for filter '{part}'")
        if not colon or not name:
            raise Fatal(CONFIG, f"invalid argument: Malformed format for filter '{part}'")
    for part in config.log_outputs.split():
        _check_output(part)


def _check_output(part: str) -> None:
    level, _, rest = part.partition(":")
    kind, _, detail = rest.partition(":")
    if level not in _LEVELS:
        raise Fatal(CONFIG, f"invalid argument: Invalid priority '{level}' for output '{part}'")
    if kind not in ("stderr", "file", "syslog", "journald"):
        text = f"Invalid log destination '{kind}' for log output '{part}'"
        raise Fatal(CONFIG, f"invalid argument: {text}")
    if kind == "file" and not os.path.isabs(detail):
        raise Fatal(CONFIG, f"invalid argument: Malformed format for log output '{part}'")


def configure(config: Config, options: Options, paths: Paths) -> None:
    """Log as asked from now on."""
    global _used
    given = {name: os.environ.get(name, "") for name in _VARIABLES}
    level = given["LIBVIRT_DEBUG"] or str(config.log_level or (2 if options.verbose else 3))
    filters = given["LIBVIRT_LOG_FILTERS"] or config.log_filters
    outputs = given["LIBVIRT_LOG_OUTPUTS"] or config.log_outputs or _default(options, paths)
    wanted = (level, filters, outputs)
    if wanted != _used:  # each output opens its file anew
        log.configure(dict(zip(_VARIABLES, wanted, strict=True)))
        _used = wanted


def _default(options: Options, paths: Paths) -> str:
    if not options.daemon:
        return "1:stderr"
    if not paths.root and os.access(_JOURNAL, os.W_OK):
        return "1:journald"
    if " " in paths.log:
        return "1:syslog:libvirtd"  # a path with a blank cannot be named in a list of outputs
    os.makedirs(os.path.dirname(paths.log), mode=0o700, exist_ok=True)
    return f"1:file:{paths.log}"
