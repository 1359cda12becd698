# SPDX-License-Identifier: LGPL-2.1-or-later
"""options.py: the command line of libvirtd: its options, --help and --version.

Called by: main.py. Calls: paths.py for the defaults that --help names.
Never: touches a file; imports argparse, which would double the time until the first answer.
"""

from __future__ import annotations

import sys
from getopt import GetoptError, gnu_getopt

from libvirtd.fatal import USAGE, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from libvirtd.paths import Paths

_SHORT = "hdf:lp:t:vV"
_LONG = ["help", "daemon", "config=", "listen", "pid-file=", "timeout=", "verbose", "version"]
_LONGEST_TIMEOUT = 0x7FFFFFFF

_HELP = """
Usage:
  {program} [options]

Options:
  -h | --help            Display program help
  -v | --verbose         Verbose messages
  -d | --daemon          Run as a daemon & write PID file
  -l | --listen          Listen for TCP/IP connections
  -t | --timeout <secs>  Exit after timeout period
  -f | --config <file>   Configuration file
  -V | --version         Display version information
  -p | --pid-file <file> Change name of PID file
       --root <dir>      Keep all state below this directory

libvirt management daemon:

  Default paths:

    Configuration file (unless overridden by -f):
      {config}

    Sockets:
{sockets}
    PID file (unless overridden by -p):
      {pid_file}

"""


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.program = "libvirtd"
        self.help = False
        self.version = False
        self.daemon = False
        self.listen = False
        self.verbose = False
        self.config: str | None = None
        self.pid_file: str | None = None
        self.root: str | None = None
        self.timeout = 0  # seconds without a client and a guest; 0: never


def read(arguments: Sequence[str], program: str = "libvirtd") -> Options:
    """Take a command line apart. Raises: Usage, Fatal."""
    options = Options()
    options.program = program
    try:
        given, extra = gnu_getopt(list(arguments), _SHORT, [*_LONG, "root="])
    except GetoptError as fault:
        raise Usage(f"{program}: {_complaint(fault)}") from None
    for name, value in given:
        if name in ("-h", "--help"):
            options.help = True
            return options
        if name in ("-V", "--version"):
            options.version = True
            return options
        _take(options, name, value)
    if extra:
        text = f"{program}: unexpected, non-option, command line arguments"
        raise Fatal(USAGE, text)
    return options


class Usage(Exception):
    """The command line follows no rule; the help goes with the complaint."""


def _complaint(fault: GetoptError) -> str:
    """The fault in the words of the C library, which users and scripts know."""
    dashes = "-" if len(fault.opt) == 1 else "--"
    if "requires argument" in fault.msg:
        if dashes == "-":
            return f"option requires an argument -- '{fault.opt}'"
        return f"option '--{fault.opt}' requires an argument"
    if "must not have an argument" in fault.msg:
        return f"option '--{fault.opt}' doesn't allow an argument"
    if "unique prefix" in fault.msg:
        return f"option '--{fault.opt}' is ambiguous"
    if dashes == "-":
        return f"invalid option -- '{fault.opt}'"
    return f"unrecognized option '--{fault.opt}'"


def _take(options: Options, name: str, value: str) -> None:
    if name in ("-d", "--daemon"):
        options.daemon = True
    elif name in ("-l", "--listen"):
        options.listen = True
    elif name in ("-v", "--verbose"):
        options.verbose = True
    elif name in ("-f", "--config"):
        options.config = value
    elif name in ("-p", "--pid-file"):
        options.pid_file = value
    elif name == "--root":
        if not value or "\0" in value:
            raise Fatal(USAGE, "Invalid value for root")
        options.root = value
    else:
        options.timeout = _timeout(value)


def _timeout(value: str) -> int:
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit()) or int(digits) > _LONGEST_TIMEOUT:
        raise Fatal(USAGE, "Invalid value for timeout")
    return int(digits)


def help_text(program: str, paths: Paths) -> str:
    """What --help prints."""
    sockets = "".join(f"      {path}\n" for path in (paths.socket, paths.socket_ro) if path)
    return _HELP.format(
        program=program, config=paths.config, sockets=sockets, pid_file=paths.pid_file
    )


def version_text(program: str) -> str:
    """What --version prints: the version of the interface, and our own."""
    from libvirtcore import __version__
    from libvirtcore.version import LIBRARY_VERSION as number

    interface = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
    return f"{program} (libvirtcore {__version__}) {interface}\n"


def show_usage(complaint: str, text: str) -> None:
    """A complaint, then the help, on stderr."""
    sys.stderr.write(f"{complaint}\n{text}")
