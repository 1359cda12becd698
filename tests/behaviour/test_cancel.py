# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cancel.py: a call that waits is ended by another thread, or by Ctrl-C, and the connection
goes on.

Called by: pytest.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

import libvirt
from libvirtcore.exceptions import OperationAbortedError
from tests.behaviour.conftest import Connect, settled
from tests.behaviour.test_deadlines import frozen
from tests.interop.daemon import Daemon


def after(seconds: float, work: object, *args: object) -> threading.Timer:
    assert callable(work)
    timer = threading.Timer(seconds, work, args)
    timer.start()
    return timer


def test_cancel_wakes_all_callers(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    caught: list[libvirt.libvirtError] = []

    def call() -> None:
        try:
            conn.getHostname()
        except libvirt.libvirtError as error:
            caught.append(error)

    threads = [threading.Thread(target=call) for _ in range(6)]  # two wait for room in flight
    with frozen(daemon):
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        assert conn.cancel() == 6
        for thread in threads:
            thread.join(1)
            assert not thread.is_alive()
    assert [type(error) for error in caught] == [OperationAbortedError] * 6
    assert conn.getHostname() == "alpha"
    settled(conn)


def test_cancel_one_thread(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    outcomes: dict[str, object] = {}

    def call(name: str) -> None:
        try:
            outcomes[name] = conn.getHostname()
        except libvirt.libvirtError as error:
            outcomes[name] = error.get_error_code()

    threads = [threading.Thread(target=call, args=(name,)) for name in ("stays", "goes")]
    with frozen(daemon):
        for thread in threads:
            thread.start()
        time.sleep(0.15)
        assert conn.cancel(threads[1].ident) == 1
        threads[1].join(1)
        assert outcomes == {"goes": libvirt.VIR_ERR_OPERATION_ABORTED}
    threads[0].join(2)
    assert outcomes["stays"] == "alpha"


def test_cancel_without_callers(core: str, uri: str, connect: Connect) -> None:
    assert connect(uri).cancel() == 0
    assert connect("test:///default").cancel() == 0


def test_interrupt_during_a_call(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    with frozen(daemon):
        timer = after(0.15, os.kill, os.getpid(), signal.SIGINT)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            conn.getHostname()
        assert time.monotonic() - began < 0.7
        timer.join()
    assert conn.getHostname() == "alpha"
    assert settled(conn)["late_replies"] == 1


def test_interrupt_that_another_thread_receives(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    with frozen(daemon):
        timer = after(0.15, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            conn.getHostname()
        assert time.monotonic() - began < 0.9
        timer.join()
    assert conn.getHostname() == "alpha"


def test_interrupt_in_a_pipeline(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    """Neither where it waits for room nor where it gathers; nothing is left behind."""
    conn = connect(uri)
    for count in (3, 20):
        with frozen(daemon):
            timer = after(0.15, os.kill, os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt), conn.pipeline() as pipe:
                results = []
                for _ in range(count):
                    results.append(pipe.call(conn.getHostname))
            timer.join()
        for result in results:
            assert isinstance(result.exception(), OperationAbortedError)
        assert conn.getHostname() == "alpha"
        assert settled(conn)["queued_bytes"] == 0


def test_interrupt_while_a_result_is_waited_for(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    pipe = conn.pipeline()
    with frozen(daemon):
        result = pipe.call(conn.getHostname)
        timer = after(0.15, os.kill, os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            result.result()
        timer.join()
    calls = conn._o.driver.client.stats()["calls"]
    with pytest.raises(OperationAbortedError):
        result.result()  # the call is not made a second time
    assert conn._o.driver.client.stats()["calls"] == calls
    assert conn.getHostname() == "alpha"


def test_handler_runs_and_the_call_goes_on(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    """A signal whose handler returns does not disturb the call."""
    conn = connect(uri)
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    try:
        with frozen(daemon):
            timers = [after(0.1, os.kill, os.getpid(), signal.SIGUSR1), after(0.3, daemon.thaw)]
            assert conn.getHostname() == "alpha"
            for timer in timers:
                timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]
