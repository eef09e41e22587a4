"""Stages of a long command: says when one ends, and keeps how long each took."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Stages:
    """Seconds of the stages of a command; those of a stage within another count only there.

    Args:
        say: Called with the line of each stage that ends. Defaults to `None`: nothing is said.
        seconds: Elapsed seconds by stage. Defaults to none yet.
        cpu_seconds: CPU seconds by stage, with those of ended child processes. Defaults to none
            yet.

    Example:

    >>> from dlrecipes._utils.stages import Stages, stage
    >>> stages = Stages(say=print)
    >>> with stages.active(), stage("data") as done:
    ...     done("Read the data")
    Read the data in 0.0 s.
    >>> list(stages.seconds)
    ['data']
    """

    say: Callable[[str], None] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Seconds and CPU seconds of inner stages, one pair per open stage.
        self._inner = [[0.0, 0.0]]

    @contextlib.contextmanager
    def active(self) -> Iterator[Stages]:
        """Makes `stage` count here."""
        token = _ACTIVE.set(self)
        try:
            yield self
        finally:
            _ACTIVE.reset(token)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Counts the time of a block; see the function `stage`."""
        start = _clock()
        self._inner.append([0.0, 0.0])
        said: list[str] = []
        try:
            yield said.append
        finally:
            inner = self._inner.pop()
            for index, kept in enumerate((self.seconds, self.cpu_seconds)):
                taken = _clock()[index] - start[index]
                self._inner[-1][index] += taken
                kept[name] = kept.get(name, 0.0) + taken - inner[index]
        if self.say is not None:
            for text in said:
                self.say(f"{text} in {time.monotonic() - start[0] - inner[0]:.1f} s.")

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Returns `seconds` and `cpu_seconds` by stage, rounded to tenths."""
        return {
            name: {"seconds": round(seconds, 1), "cpu_seconds": round(self.cpu_seconds[name], 1)}
            for name, seconds in self.seconds.items()
        }


_ACTIVE: ContextVar[Stages | None] = ContextVar("stages", default=None)


@contextlib.contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Counts the time of a block in the active `Stages`, if there are any.

    The block may call the yielded function with what it did, in the past tense. That is said with
    the seconds when the block ends without an error.

    Args:
        name: Name of the stage; the times of blocks with the same name add up.
    """
    stages = _ACTIVE.get()
    if stages is None:
        yield lambda text: None
        return
    with stages.stage(name) as done:
        yield done


def _clock() -> tuple[float, float]:
    times = os.times()
    cpu = times.user + times.system + times.children_user + times.children_system
    return time.monotonic(), cpu
