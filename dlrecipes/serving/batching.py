"""Batches compatible requests, so that one model run answers several of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlrecipes.serving.servable import Signature
from dlrecipes.serving.status import RequestError, to_request_error, too_many


@dataclass(eq=False)
class _Request:
    arrays: Mapping[str, np.ndarray]
    rows: int
    result: asyncio.Future


@dataclass(eq=False)
class _Batch:
    owner: Any
    signature: Signature
    # Requests can share a batch only if their keys are equal.
    key: Any = None
    requests: list[_Request] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)

    @property
    def group(self) -> Any:
        """The signature of a version, which takes turns with others."""
        return (id(self.owner), self.signature.name)


class Batcher:
    """Runs signatures outside the event loop and batches compatible requests.

    A request runs at once if a thread is free. While all threads are busy, requests share a batch
    if they are for the same version and signature and their inputs have the same shapes after the
    first axis, so batches grow with the load. Signatures whose requests wait take turns. If a run
    fails, the batch is split in halves and run again, so that only the request at fault fails. A
    request whose caller has disconnected leaves its batch. Signatures whose first axis does not
    count examples are run one request at a time, as are inputs whose shape is not the declared one.

    Args:
        threads: Number of concurrent runs, at least 1.
        max_batch: Maximum number of examples per run; 1 disables batching. A request that is
            larger runs alone.
        timeout: Time that a batch waits for further requests even if a thread is free, in seconds,
            unless it is full. At 0, batches form only while all threads are busy.
        queue: Maximum number of pending requests, waiting or running; further ones are refused.
        ran: Callback for each run; it receives the owner and the number of examples. Defaults to
            a function that does nothing.
    """

    def __init__(
        self,
        threads: int,
        max_batch: int,
        timeout: float,
        queue: int,
        ran: Callable[[Any, int], None] = lambda owner, examples: None,
    ):
        self.max_batch = max_batch
        self.timeout = timeout
        self.queue = queue
        self.ran = ran
        self.pending = 0
        self._free = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="model")
        # Batches that accept further requests, by key, and batches that are ready to run, by group
        # in the order of their turns. A batch can be in both until a thread is free.
        self._open: dict[Any, _Batch] = {}
        self._ready: dict[Any, deque[_Batch]] = {}
        self._start_scheduled = False
        self._running: set[asyncio.Task] = set()

    def close(self) -> None:
        """Stops accepting runs without waiting for those in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def run(
        self, owner: Any, signature: Signature, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Returns the outputs for one request.

        Args:
            owner: Version that the signature belongs to; requests for different versions are
                never batched together.
            signature: Signature to run.
            arrays: Inputs by name.

        Raises:
            RequestError: If the outputs cannot be computed, or too many requests are pending.
        """
        if self.pending >= self.queue:
            raise too_many(self.pending)
        self.pending += 1
        rows = _count_rows(arrays)
        request = _Request(arrays, rows or 1, asyncio.get_running_loop().create_future())
        if self._can_share(signature, arrays, rows):
            batch = self._join(owner, signature, request)
        else:
            batch = _Batch(owner, signature, requests=[request])
            self._enqueue(batch)
        try:
            return await request.result
        finally:
            self.pending -= 1
            if request in batch.requests:
                self._leave(batch, request)

    def _can_share(
        self, signature: Signature, arrays: Mapping[str, np.ndarray], rows: int | None
    ) -> bool:
        """Returns whether a request may be part of a larger batch."""
        fits = rows is not None and 0 < rows < self.max_batch
        return fits and signature.by_example and not signature.misfit(arrays)

    def _join(self, owner: Any, signature: Signature, request: _Request) -> _Batch:
        """Adds a request to the open batch that it fits, or to a new one."""
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(request.arrays.items()))
        key = (id(owner), signature.name, shapes)
        batch = self._open.get(key)
        if batch is not None and batch.rows + request.rows > self.max_batch:
            self._seal(batch)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(owner, signature, key)
            if self.timeout:
                loop = asyncio.get_running_loop()
                batch.timer = loop.call_later(self.timeout, self._enqueue, batch)
            else:
                self._enqueue(batch)
        batch.requests.append(request)
        if batch.rows == self.max_batch:
            self._seal(batch)
        return batch

    def _leave(self, batch: _Batch, request: _Request) -> None:
        """Removes a request whose caller has disconnected from a batch that has not started."""
        batch.requests.remove(request)
        if batch.requests:
            return
        self._close(batch)
        batches = self._ready.get(batch.group)
        if batches is not None and batch in batches:
            batches.remove(batch)
            if not batches:
                del self._ready[batch.group]

    def _enqueue(self, batch: _Batch) -> None:
        """Makes a batch ready to run; it stays open until a thread is free."""
        batch.timer = None
        self._ready.setdefault(batch.group, deque()).append(batch)
        self._schedule_start()

    def _seal(self, batch: _Batch) -> None:
        """Closes a batch to further requests and makes it ready to run."""
        waits = batch.timer is not None
        self._close(batch)
        if waits:  # Otherwise the batch is ready already, and keeps its position.
            self._enqueue(batch)

    def _close(self, batch: _Batch) -> None:
        """Closes a batch to further requests."""
        if self._open.get(batch.key) is batch:
            del self._open[batch.key]
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None

    def _schedule_start(self) -> None:
        """Starts batches after the requests that have arrived together have joined them."""
        if self._free and self._ready and not self._start_scheduled:
            self._start_scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Starts batches while threads are free, one per group in turn."""
        self._start_scheduled = False
        while self._free and self._ready:
            group = next(iter(self._ready))
            batches = self._ready.pop(group)
            batch = batches.popleft()
            if batches:
                self._ready[group] = batches  # At the end: the other groups are next.
            self._close(batch)
            self._free -= 1
            # Requests can no longer leave the batch.
            requests, batch.requests = batch.requests, []
            work = self._run_requests(batch.owner, batch.signature, requests)
            task = asyncio.get_running_loop().create_task(work)
            # The event loop holds only weak references to tasks.
            self._running.add(task)
            task.add_done_callback(self._free_thread)

    def _free_thread(self, task: asyncio.Task) -> None:
        self._running.discard(task)
        self._free += 1
        self._schedule_start()

    async def _run_requests(
        self, owner: Any, signature: Signature, requests: list[_Request]
    ) -> None:
        # Callers that have disconnected need no answer.
        requests = [request for request in requests if not request.result.done()]
        if not requests:
            return
        try:
            self.ran(owner, sum(request.rows for request in requests))
            loop = asyncio.get_running_loop()
            inputs = _concatenate(requests)
            outputs = await loop.run_in_executor(self._executor, signature.run, inputs)
            results = _split(outputs, [request.rows for request in requests])
        except Exception as error:
            if len(requests) == 1:
                _resolve(requests[0].result, to_request_error(error))
                return
            middle = len(requests) // 2
            for half in (requests[:middle], requests[middle:]):
                await self._run_requests(owner, signature, half)
            return
        for request, result in zip(requests, results, strict=True):
            _resolve(request.result, result)


def _count_rows(arrays: Mapping[str, np.ndarray]) -> int | None:
    """Returns the number of examples of all inputs, or `None` if the inputs differ in it."""
    counts = {array.shape[0] if array.ndim else None for array in arrays.values()}
    return counts.pop() if len(counts) == 1 else None


def _concatenate(requests: list[_Request]) -> dict[str, np.ndarray]:
    if len(requests) == 1:
        return dict(requests[0].arrays)
    names = requests[0].arrays
    return {name: np.concatenate([request.arrays[name] for request in requests]) for name in names}


def _split(outputs: Mapping[str, np.ndarray], rows: list[int]) -> list[dict[str, np.ndarray]]:
    if len(rows) == 1:
        return [dict(outputs)]
    total, ends = sum(rows), np.cumsum(rows)[:-1]
    for name, array in outputs.items():
        if not array.ndim or len(array) != total:
            # The signature declares a batch axis, but the model does something else with it.
            raise RequestError(
                f"output {name}: expected {total} rows, got shape {array.shape}", "INTERNAL"
            )
    columns = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: parts[k] for name, parts in columns.items()} for k in range(len(rows))]


def _resolve(future: asyncio.Future, result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
