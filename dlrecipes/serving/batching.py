"""Requests that are alike, answered together: one run of the model for several of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlrecipes.serving.servable import Signature
from dlrecipes.serving.status import RequestError


@dataclass
class _Waiting:
    arrays: Mapping[str, np.ndarray]
    rows: int
    answer: asyncio.Future


@dataclass
class _Batch:
    owner: Any
    signature: Signature
    waiting: list[_Waiting] = field(default_factory=list)
    rows: int = 0
    timer: asyncio.TimerHandle | None = None


class Batcher:
    """Runs signatures off the event loop, in batches where requests are alike.

    Requests of one version and signature whose inputs have the same shapes behind the first
    axis wait for one another until there are `max_batch` examples or the first has waited for
    `timeout` seconds, and then until a thread is free: the busier the models are, the larger
    are the batches. One that fails fails alone: its companions are run again without it.
    Signatures that do not count examples along the first axis are run request by request.

    Args:
        threads: Runs at a time, at least 1.
        max_batch: Examples of a run at most; 1 for no batching. A larger request runs alone.
        timeout: Seconds that a request waits for others.
        queue: Requests that may wait or run at a time; beyond, they are refused.
        ran: Is told of each run: whose it was, and how many examples it had.
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
        # Those that others may join, by what they have in common; and those whose turn is next.
        self._open: dict[Any, _Batch] = {}
        self._due: deque[Any] = deque()
        self._running: set[asyncio.Task] = set()

    def close(self) -> None:
        """Waits for the runs that have begun; nothing can be run then."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def run(
        self, owner: Any, signature: Signature, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of one request.

        Args:
            owner: The version; requests of one are batched.
            signature: What to run.
            arrays: The inputs, checked.

        Raises:
            RequestError: If they cannot be computed, or too many requests wait.
        """
        if self.pending >= self.queue:
            raise RequestError(
                f"There are {self.pending} requests waiting already; try again later.",
                "RESOURCE_EXHAUSTED",
            )
        self.pending += 1
        try:
            rows = _rows(arrays)
            one = _Waiting(arrays, rows or 1, asyncio.get_running_loop().create_future())
            if not signature.by_example or rows is None or not 0 < rows < self.max_batch:
                self._due.append(_Batch(owner, signature, [one], one.rows))
                self._next()
            else:
                self._join(owner, signature, one)
            return await one.answer
        finally:
            self.pending -= 1

    def _join(self, owner: Any, signature: Signature, one: _Waiting) -> None:
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(one.arrays.items()))
        key = (id(owner), signature.name, shapes)
        batch = self._open.get(key)
        if batch is not None and batch.rows + one.rows > self.max_batch:
            self._seal(key)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(owner, signature)
            loop = asyncio.get_running_loop()
            batch.timer = loop.call_later(self.timeout, self._ripe, key)
        batch.waiting.append(one)
        batch.rows += one.rows
        if batch.rows == self.max_batch:
            self._seal(key)

    def _ripe(self, key: Any) -> None:
        """Has a batch run as soon as a thread is free; until then others may join it."""
        self._open[key].timer = None
        self._due.append(key)
        self._next()

    def _seal(self, key: Any) -> None:
        """Has a batch run as soon as a thread is free, and none join it."""
        batch = self._open.pop(key)
        if batch.timer is not None:
            batch.timer.cancel()
            self._due.append(batch)
        else:
            # It keeps its turn.
            self._due[self._due.index(key)] = batch
        self._next()

    def _next(self) -> None:
        while self._free and self._due:
            due = self._due.popleft()
            batch = due if isinstance(due, _Batch) else self._open.pop(due)
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._finish(batch))
            # The loop itself keeps tasks weakly.
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        self._running.discard(task)
        self._free += 1
        self._next()

    async def _finish(self, batch: _Batch) -> None:
        # Whoever has gone away need not be answered.
        waiting = [one for one in batch.waiting if not one.answer.done()]
        if not waiting:
            return
        self.ran(batch.owner, sum(one.rows for one in waiting))
        try:
            found = await self._in_thread(batch.signature, _joined(waiting))
            parts = _parted(found, [one.rows for one in waiting])
        except RequestError as error:
            if len(waiting) == 1:
                _tell(waiting[0].answer, error)
                return
            await asyncio.gather(*(self._alone(batch.signature, one) for one in waiting))
            return
        for one, part in zip(waiting, parts, strict=True):
            _tell(one.answer, part)

    async def _alone(self, signature: Signature, one: _Waiting) -> None:
        try:
            _tell(one.answer, await self._in_thread(signature, one.arrays))
        except RequestError as error:
            _tell(one.answer, error)

    async def _in_thread(
        self, signature: Signature, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, signature.run, arrays)


def _rows(arrays: Mapping[str, np.ndarray]) -> int | None:
    """Returns how many examples all inputs have, or `None` where they differ."""
    found = {array.shape[0] if array.ndim else None for array in arrays.values()}
    return found.pop() if len(found) == 1 else None


def _joined(waiting: list[_Waiting]) -> dict[str, np.ndarray]:
    if len(waiting) == 1:
        return dict(waiting[0].arrays)
    names = waiting[0].arrays
    return {name: np.concatenate([one.arrays[name] for one in waiting]) for name in names}


def _parted(found: Mapping[str, np.ndarray], rows: list[int]) -> list[dict[str, np.ndarray]]:
    if len(rows) == 1:
        return [dict(found)]
    total, ends = sum(rows), np.cumsum(rows)[:-1]
    for name, array in found.items():
        if not array.ndim or len(array) != total:
            # The model's first axis is something else, whatever it says.
            raise RequestError(f"output {name} has {array.shape} for {total} examples", "INTERNAL")
    columns = {name: np.split(array, ends) for name, array in found.items()}
    return [{name: parts[k] for name, parts in columns.items()} for k in range(len(rows))]


def _tell(answer: asyncio.Future, found: Any) -> None:
    if answer.done():
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
