# SPDX-License-Identifier: LGPL-2.1-or-later
"""pipeline.py: many calls under way at once, without threads.

    with conn.pipeline() as p:
        infos = [p(dom).info() for dom in domains]      # or p.call(dom.info)
    values = [info.result() for info in infos]

A call made through the pipeline runs twice. The first time it stops where its request has been
sent (`Sent` flies out through the layers above the driver); the second time, when its result is
wanted, the reply is given to it there and it returns what it always returns. A call that needs a
second request makes it then. What answers without a request, or with a stream or descriptors, is
done at once.
Called by: users (conn.pipeline), drivers.remote (asks `current` before each request).
Calls: the driver's client: `submit`, `wait`, `forget`.
Never: has more requests under way than the client allows, so that keepalive gets through.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from libvirtcore import deadline
from libvirtcore.errors import libvirtError, report, set_last_error
from libvirtcore.generated.constants import VIR_ERR_OPERATION_ABORTED, VIR_FROM_RPC

P = ParamSpec("P")
T = TypeVar("T")


class Sent(BaseException):
    """A request is on its way and its call is left until the reply is wanted."""

    def __init__(self, serial: int, request: tuple[int, int]) -> None:
        self.serial = serial
        self.request = request


class PipelineDriver(Protocol):
    """What a pipeline needs of a driver."""

    def submit(self, program: int, procedure: int, args: Any) -> int: ...
    def wait(self, serial: int) -> Any: ...
    def forget(self, serial: int) -> None: ...
    def send(self, program: int, procedure: int, args: Any) -> Any: ...


class _Recorder:
    """First run: send the request and stop."""

    __slots__ = ("_driver",)

    def __init__(self, driver: PipelineDriver) -> None:
        self._driver = driver

    def call(self, driver: PipelineDriver, program: int, procedure: int, args: Any) -> Any:
        if driver is not self._driver:
            return driver.send(program, procedure, args)
        raise Sent(driver.submit(program, procedure, args), (program, procedure))


class _Replay:
    """Second run: answer that request, pass on any later one."""

    __slots__ = ("_driver", "_request", "_serial")

    def __init__(self, driver: PipelineDriver, sent: Sent) -> None:
        self._driver = driver
        self._request = sent.request
        self._serial: int | None = sent.serial

    def call(self, driver: PipelineDriver, program: int, procedure: int, args: Any) -> Any:
        serial = self._serial
        if serial is None or driver is not self._driver or self._request != (program, procedure):
            return driver.send(program, procedure, args)
        self._serial = None
        return driver.wait(serial)

    def forget(self) -> None:
        """The reply is not wanted any more."""
        if self._serial is not None:
            self._driver.forget(self._serial)
            self._serial = None


_current: ContextVar[_Recorder | _Replay | None] = ContextVar("libvirtcore_pipeline", default=None)
current = _current.get


class Result(Generic[T]):
    """The outcome of one call: there already, or fetched when asked for."""

    __slots__ = ("_args", "_call", "_error", "_kwargs", "_replay", "_value")

    def __init__(
        self, recorder: _Recorder | None, call: Callable[..., T], args: Any, kwargs: Any
    ) -> None:
        self._call: Callable[..., T] | None = call
        self._args = args
        self._kwargs = kwargs
        self._value: Any = None
        self._error: Exception | None = None
        self._replay: _Replay | None = None
        try:
            self._run(recorder)
        except Sent as sent:
            assert recorder is not None
            self._replay = _Replay(recorder._driver, sent)

    def _run(self, mode: _Recorder | _Replay | None) -> None:
        assert self._call is not None
        token = _current.set(mode)
        try:
            self._value = self._call(*self._args, **self._kwargs)
        except Exception as error:
            self._error = error
        except Sent:
            raise
        except BaseException:  # a KeyboardInterrupt is the caller's; the call does not run again
            self.forget()
            raise
        finally:
            _current.reset(token)
        self._call = None

    def forget(self) -> None:
        """Give the call up: its reply will be thrown away, and `result` raises."""
        if self._call is not None:
            self._call = None
            set_last_error(
                report(VIR_ERR_OPERATION_ABORTED, VIR_FROM_RPC, "the pipeline was interrupted")
            )
            self._error = libvirtError("the pipeline was interrupted")
        if self._replay is not None:
            self._replay.forget()

    @property
    def done(self) -> bool:
        """Whether `result` returns without waiting."""
        return self._call is None

    def result(self, timeout: float | None = None) -> T:
        """What the call returns, or its exception raised; `timeout` limits the wait for it."""
        error = self.exception(timeout)
        if error is not None:
            raise error
        return cast(T, self._value)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """The exception of the call, None when it went well."""
        if self._call is not None:
            if timeout is None:
                self._run(self._replay)
            else:
                with deadline.timeout(timeout):
                    self._run(self._replay)
        return self._error


class _Proxy:
    """An object whose methods go through the pipeline."""

    __slots__ = ("_pipeline", "_target")

    def __init__(self, pipeline: Pipeline, target: Any) -> None:
        self._pipeline = pipeline
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Result[Any]]:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Result[Any]:
            return self._pipeline.call(method, *args, **kwargs)

        return call


class Pipeline:
    """Collects calls of one connection; at the end of the `with` block all are answered.

    Each error stays with its call. On a driver that works in this process calls are made at once.
    """

    def __init__(self, driver: Any) -> None:
        self._recorder = _Recorder(driver) if hasattr(driver, "submit") else None
        self._results: list[Result[Any]] = []

    def __call__(self, target: Any) -> Any:
        """`p(dom).info()`: the methods of an object, each returning a Result."""
        return _Proxy(self, target)

    def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """`p.call(dom.info)`: make a call and return its Result."""
        result = Result(self._recorder, method, args, kwargs)
        if not result.done:
            self._results.append(result)
        return result

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, Exception):
            self.gather()
        else:
            self._forget()

    def gather(self) -> None:
        """Fetch every reply that is still to come."""
        results, self._results = self._results, []
        try:
            for result in results:
                result.exception()
        except BaseException:
            self._results = results
            self._forget()
            raise

    def _forget(self) -> None:
        results, self._results = self._results, []
        for result in results:
            result.forget()
