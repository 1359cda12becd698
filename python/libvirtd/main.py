# SPDX-License-Identifier: LGPL-2.1-or-later
"""main.py: the start of libvirtd, step by step, and its exit status.

    options → libvirtd.conf → (-d: background) → log → folders, pid file, lock → sockets
    → drivers → server and workers → READY

Clients may connect as soon as the sockets stand; they are answered once the drivers know their
guests.
Called by: the program `libvirtd`, `python -m libvirtd`.
Never: leaves a pid file or socket behind, however the start goes wrong.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys

from libvirtcore.log import ERROR, WARNING, log
from libvirtd import config as configuration
from libvirtd import options as command_line
from libvirtd import paths as places
from libvirtd.fatal import CONFIG, DRIVER, RUNDIR, Fatal, headline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from libvirtd.background import Launch
    from libvirtd.config import Config
    from libvirtd.options import Options
    from libvirtd.paths import Paths
    from libvirtd.signals import Signals
    from libvirtd.sockets import Listeners

_SOURCE = "daemon"
_SPARE_FILES = 1024  # descriptors beside those of clients: guests, images, logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon; the exit status."""
    name = os.path.basename(sys.argv[0])
    program = "libvirtd" if name in ("__main__.py", "") else name
    try:
        options = command_line.read(sys.argv[1:] if arguments is None else arguments, program)
        paths = places.choose(options.root)
    except command_line.Usage as fault:
        shown = places.display(places.choose(None))
        command_line.show_usage(str(fault), command_line.help_text(program, shown))
        return CONFIG
    except Fatal as fault:
        sys.stderr.write(fault.text + "\n")
        return fault.status
    if options.help:
        sys.stderr.write(command_line.help_text(program, places.display(paths)))
        return 0
    if options.version:
        sys.stdout.write(command_line.version_text(program))
        return 0
    return _launch(options, paths)


def _launch(options: Options, paths: Paths) -> int:
    """Read the configuration, then run in the background or right here."""
    from libvirtd.background import Launch, fork

    try:
        _make_absolute(options)
        config = _configure(options, paths)
    except Fatal as fault:
        sys.stderr.write(f"{options.program}: error: {fault.text}\n")
        return fault.status
    if not options.daemon:
        return _run(options, paths, config, Launch())
    launch, status, reason = fork()
    if launch is not None:
        os._exit(_run(options, paths, config, launch))
    if status:
        sys.stderr.write(f"{options.program}: error: {headline(status)}: {reason}\n")
    return 1 if status else 0


def _make_absolute(options: Options) -> None:
    """The background process has another working directory."""
    if options.config:
        options.config = os.path.abspath(options.config)
    options.pid_file = os.path.abspath(options.pid_file) if options.pid_file else None


def _configure(options: Options, paths: Paths) -> Config:
    """Read libvirtd.conf and refuse what cannot be served. Raises: Fatal."""
    from libvirtcore.host_uuid import normalize, set_host_uuid
    from libvirtd import logs

    named = options.config is not None
    config = configuration.load(options.config if named else paths.config, must_exist=named)  # type: ignore[arg-type]
    logs.check(config)
    configuration.refuse_unbuilt(config, tcp=options.listen)
    if config.host_uuid_source not in ("smbios", "machine-id"):
        source = config.host_uuid_source
        raise Fatal(CONFIG, f"Can't setup host uuid: invalid UUID source: {source}")
    uuid = normalize(config.host_uuid) if config.host_uuid else None
    if config.host_uuid and uuid is None:
        raise Fatal(CONFIG, f"Can't setup host uuid: invalid host UUID: {config.host_uuid}")
    set_host_uuid(uuid, config.host_uuid_source)
    return config


def _run(options: Options, paths: Paths, config: Config, launch: Launch) -> int:
    """The daemon from its first lock to its last. Returns the exit status."""
    from libvirtd import logs, sockets
    from libvirtd.pidfile import PidFile
    from libvirtd.signals import Signals

    done = contextlib.ExitStack()
    try:
        with done:
            gc.disable()  # until all is loaded, which stays anyway
            done.callback(gc.enable)
            signals = Signals()
            done.callback(signals.close)
            _make_folders(paths, config)
            logs.configure(config, options, paths)
            for sentence in configuration.ineffective(config):
                log(WARNING, _SOURCE, sentence)
            _raise_file_limit(config)
            for path in (options.pid_file or paths.pid_file, paths.lock):
                pid_file = PidFile(path)
                pid_file.acquire()
                done.callback(pid_file.release)
            listeners = sockets.open_all(config, paths, listen=options.listen)
            done.callback(listeners.close)
            clean = _serve(options, paths, config, launch, listeners, signals)
    except Fatal as fault:
        log(ERROR, _SOURCE, fault.text)
        launch.failed(fault.status, fault.text)
        return fault.status
    if not clean:
        os._exit(0)  # a thread that is stuck in a call would keep the process
    return 0


def _serve(
    options: Options,
    paths: Paths,
    config: Config,
    launch: Launch,
    listeners: Listeners,
    signals: Signals,
) -> bool:
    """From the first client to the last. False when a call has not ended. Raises: Fatal."""
    from libvirtd import drivers
    from libvirtd.daemon import Daemon
    from libvirtd.notify import Notifier

    notify = Notifier.take()
    daemon = Daemon(config, options, paths, notify, signals)
    try:
        drivers.start(paths)
    except Exception as fault:
        raise Fatal(DRIVER, f"Driver state initialization failed: {fault}") from fault
    daemon.start(listeners)
    gc.freeze()
    gc.enable()
    if options.daemon:
        notify.main_pid()
    notify.ready()
    launch.succeeded()
    daemon.serve()
    return daemon.stop()


def _make_folders(paths: Paths, config: Config) -> None:
    """The run directory, and umask: a session's files are its user's alone. Raises: Fatal."""
    os.umask(0o077 if paths.private else 0o022)
    mode = 0o700 if paths.private else 0o755
    folders = [] if config.unix_sock_dir == paths.run else [paths.run]
    try:
        for folder in (*folders, os.path.dirname(paths.pid_file)):
            os.makedirs(folder, mode=mode, exist_ok=True)
    except OSError as fault:
        text = f"unable to create rundir {fault.filename}: {fault.strerror}"
        raise Fatal(RUNDIR, text) from None


def _raise_file_limit(config: Config) -> None:
    """Room for every client that may come, if the hard limit has it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.max_clients + _SPARE_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
