"""Returns freed memory to the system.

glibc keeps freed memory for later allocations. The stages of a command have little in common, so
that each would add its peak to what the earlier ones left. Other C libraries are left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
from collections.abc import Iterator

# Parameters of `mallopt` (malloc.h), and the largest values to which glibc raises them itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20}
_LARGE_BLOCK = 1 << 20


def release_memory() -> None:
    """Collects garbage, such as graphs, which are cyclic, and returns free memory to the system.

    Example:

    >>> from dlrecipes._utils.memory import release_memory
    >>> release_memory()
    """
    gc.collect()
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def large_blocks_released() -> Iterator[None]:
    """Returns blocks of a megabyte or more to the system as soon as they are freed in the block.

    It suits a few large buffers, such as those of a conversion. Training would be slower: each of
    its tensors would get new pages in each step. Afterwards the thresholds are glibc's largest
    ones, which it no longer adapts.
    """
    _set_thresholds(dict.fromkeys(_LARGEST, _LARGE_BLOCK))
    try:
        yield
    finally:
        _set_thresholds(_LARGEST)


def _set_thresholds(bytes_by_parameter: dict[int, int]) -> None:
    if _is_glibc():
        for parameter, size in bytes_by_parameter.items():
            ctypes.CDLL(None).mallopt(parameter, size)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
