"""Processes that parse large bodies, so that no body keeps the server's other threads waiting.

A parser holds the GIL: a body of 10 MB would stop every other request meanwhile, and a hostile one
for longer. In another process it cannot, and a request that exceeds its time limit ends there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dlrecipes._utils.processes import spawn
from dlrecipes.serving.limits import SMALL
from dlrecipes.serving.status import RequestError

# Larger bodies are parsed in a process.
LARGE = 64 * 1024
PROCESSES = 2
# Lower priority of the processes: small requests come first.
NICENESS = 5


class _Job:
    """A call in a process, which can be cancelled from another thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Ends the process that the call runs in, if any."""
        with self.lock:
            self.cancelled = True
            if self.process is not None:
                self.process.kill()


class Parsers:
    """A pool of processes that start when they are needed, and end with this process.

    Args:
        count: Maximum number of processes. Defaults to `PROCESSES`.
    """

    def __init__(self, count: int = PROCESSES):
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="parser")
        # Several threads would take turns at the GIL, and the server's own thread is one of them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="small-parser")
        self._idle: list[subprocess.Popen] = []
        self._jobs: set[_Job] = set()

    async def parse(self, read: Callable[..., Any], body: bytes, *arguments: Any) -> Any:
        """Returns what a function reads from a body, where it delays other requests least.

        Args:
            read: Function of a module that does not import TensorFlow.
            body: First argument of the function.
            *arguments: Its other arguments.

        Raises:
            RequestError: If the function raises it, or the process ends.
        """
        if len(body) > LARGE:
            return await self.run(read, body, *arguments)
        if len(body) > SMALL:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, read, body, *arguments)
        return read(body, *arguments)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns the result of a function of this package, which is called in a process.

        Args:
            function: Function of a module that does not import TensorFlow.
            *arguments: Its arguments.

        Raises:
            RequestError: If the function raises it, or the process ends.
        """
        job = _Job()
        self._jobs.add(job)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._call, job, (function, arguments)
            )
        except asyncio.CancelledError:
            job.cancel()
            raise
        finally:
            self._jobs.discard(job)

    def close(self) -> None:
        """Ends the processes."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for job in list(self._jobs):
            job.cancel()
        while self._idle:
            _end(self._idle.pop())

    def _call(self, job: _Job, call: tuple[Callable[..., Any], tuple]) -> Any:
        process = self._idle.pop() if self._idle else None
        if process is None or process.poll() is not None:
            try:
                process = spawn("serving.parsers", {}, stdout=subprocess.PIPE)
            except OSError as failure:
                raise RequestError(
                    f"The process that parses large bodies cannot start: {failure.strerror}; try "
                    "again later.",
                    "RESOURCE_EXHAUSTED",
                ) from None
        assert process.stdin is not None and process.stdout is not None
        with job.lock:
            job.process = process
            if job.cancelled:
                process.kill()
        try:
            pickle.dump(call, process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            error, result = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            _end(process)
            raise RequestError(
                "The process that parses large bodies has ended; send a smaller body.",
                "RESOURCE_EXHAUSTED",
            ) from None
        with job.lock:
            job.process = None
        if job.cancelled:
            _end(process)
        else:
            self._idle.append(process)
        if error is not None:
            raise error
        return result


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()


def main() -> None:
    """Answers calls from standard input until it is closed, which is when the server ends."""
    # A signal to all of the server's processes must not end requests in progress.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _yield_to_server()
    answers = os.fdopen(os.dup(1), "wb")
    # Lines that a library prints must not get between the answers.
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, arguments = pickle.load(sys.stdin.buffer)
            answer: tuple[Exception | None, Any]
            try:
                answer = None, function(*arguments)
            except MemoryError:
                message = "There is not enough memory to parse the body."
                answer = RequestError(message, "RESOURCE_EXHAUSTED"), None
            except Exception as error:
                answer = error, None
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
            del function, arguments, answer


def _yield_to_server() -> None:
    """Lets the server run first, and lets this process be the one that ends if memory runs out."""
    with contextlib.suppress(AttributeError, OSError):
        os.nice(NICENESS)
        Path("/proc/self/oom_score_adj").write_text("1000")
