"""Requests that are alike, answered together: one run of the model for several of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlrecipes.serving.servable import Signature
from dlrecipes.serving.status import RequestError, of, too_many


@dataclass(eq=False)
class _Waiting:
    arrays: Mapping[str, np.ndarray]
    rows: int
    answer: asyncio.Future


@dataclass(eq=False)
class _Batch:
    owner: Any
    signature: Signature
    # What those that may join it have in common.
    key: Any = None
    waiting: list[_Waiting] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.waiting)


class Batcher:
    """Runs signatures off the event loop, in batches where requests are alike.

    Requests of one version and signature whose inputs have the same shapes behind the first
    axis wait for one another until there are `max_batch` examples or the first has waited for
    `timeout` seconds, and then until a thread is free: the busier the models are, the larger
    are the batches. One that fails fails alone: its batch is run again in halves, until it is
    found. One whose caller goes away leaves its batch.
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
        # Those that others may join, by their key; and those whose turn is next, which others
        # may still join.
        self._open: dict[Any, _Batch] = {}
        self._due: deque[_Batch] = deque()
        self._running: set[asyncio.Task] = set()

    def close(self) -> None:
        """Lets the runs that have begun end, without waiting for them; nothing more is run."""
        self._executor.shutdown(wait=False, cancel_futures=True)

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
            raise too_many(self.pending)
        self.pending += 1
        rows = _rows(arrays)
        one = _Waiting(arrays, rows or 1, asyncio.get_running_loop().create_future())
        if not signature.by_example or rows is None or not 0 < rows < self.max_batch:
            batch = _Batch(owner, signature, waiting=[one])
            self._due.append(batch)
        else:
            batch = self._join(owner, signature, one)
        self._next()
        try:
            return await one.answer
        finally:
            self.pending -= 1
            if one in batch.waiting:
                self._leave(batch, one)

    def _join(self, owner: Any, signature: Signature, one: _Waiting) -> _Batch:
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(one.arrays.items()))
        key = (id(owner), signature.name, shapes)
        batch = self._open.get(key)
        if batch is not None and batch.rows + one.rows > self.max_batch:
            self._seal(batch)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(owner, signature, key)
            loop = asyncio.get_running_loop()
            batch.timer = loop.call_later(self.timeout, self._ripe, batch)
        batch.waiting.append(one)
        if batch.rows == self.max_batch:
            self._seal(batch)
        return batch

    def _leave(self, batch: _Batch, one: _Waiting) -> None:
        """Takes a request whose caller has gone out of a batch that has not begun."""
        batch.waiting.remove(one)
        if not batch.waiting:
            self._close(batch)
            with contextlib.suppress(ValueError):
                self._due.remove(batch)

    def _ripe(self, batch: _Batch) -> None:
        """Has a batch run as soon as a thread is free; until then others may join it."""
        batch.timer = None
        self._due.append(batch)
        self._next()

    def _seal(self, batch: _Batch) -> None:
        """Has a batch run as soon as a thread is free, and none join it."""
        early = batch.timer is not None
        self._close(batch)
        if early:  # Else it has its turn already, and keeps it.
            self._due.append(batch)

    def _close(self, batch: _Batch) -> None:
        """Has none join a batch."""
        if self._open.get(batch.key) is batch:
            del self._open[batch.key]
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None

    def _next(self) -> None:
        while self._free and self._due:
            batch = self._due.popleft()
            self._close(batch)
            self._free -= 1
            # From now on nobody leaves it.
            waiting, batch.waiting = batch.waiting, []
            work = self._answer(batch.owner, batch.signature, waiting)
            task = asyncio.get_running_loop().create_task(work)
            # The loop itself keeps tasks weakly.
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        self._running.discard(task)
        self._free += 1
        self._next()

    async def _answer(self, owner: Any, signature: Signature, waiting: list[_Waiting]) -> None:
        # Whoever has gone away need not be answered.
        waiting = [one for one in waiting if not one.answer.done()]
        if not waiting:
            return
        try:
            self.ran(owner, sum(one.rows for one in waiting))
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._executor, signature.run, _joined(waiting))
            parts = _parted(found, [one.rows for one in waiting])
        except Exception as error:
            if len(waiting) == 1:
                _tell(waiting[0].answer, of(error))
                return
            half = len(waiting) // 2
            for part in (waiting[:half], waiting[half:]):
                await self._answer(owner, signature, part)
            return
        for one, part in zip(waiting, parts, strict=True):
            _tell(one.answer, part)


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
